"""Where Tilth answers otherwise than MLflow's own server on purpose, and why.

What MLflow's server answers with a 5xx, or with a statement of SQL, stands in its record as FAULT: there Tilth may say anything but that.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

PLACES = "Tilth chooses where bytes lie"
NAMES = "names and keys that cannot be told apart, or not be stored, are refused at every call alike"
LIMITS = "one limit of length for names, kept on every database"
UNREADABLE = "what cannot be read is refused with a 400 that says where; MLflow leaves it out in silence"
THERE = "what is not there is a 404, not an empty answer"
MOMENTS = "a run that goes on has no end, and one that ends without a moment ends now"
TOKENS = "page tokens are Tilth's own, and so are the words about foreign ones"
MORE = "the answer holds more than MLflow's"
WORDS = "Tilth's sentence says more"
NOT_A_NUMBER = "NaN is no number: it stands last, and compares with nothing"
BROKEN = "MLflow's server compares what it does not hold: its statuses are numbers there, its NaN is 0, its data sets are missed"
ELSEWHERE = "Tilth never connects to a source that lies elsewhere, so any host may be named"
LENIENT = "a parameter that was left out has its default"
PATHS = "paths that are not plain are refused"
EMPTY = "an empty file has the size 0"
REPEATED = "said again, the last word counts"

KNOWN: tuple[tuple[str, str, str], ...] = (
    ("experiments.experiment_names", "blank*", NAMES),
    ("experiments.searching_experiments", "nothing = 'x'", WORDS),
    ("experiments.pages_of_experiments", "max_results None", LENIENT),
    ("experiments.pages_of_experiments", "token *", TOKENS),
    ("experiments.artifact_locations", "?*:*", PLACES),
    ("experiments.artifact_locations", "../up", PLACES),
    ("runs.names_of_runs", "longer", LIMITS),
    ("runs.odd_fields_of_new_runs", "start negative", NAMES),
    ("runs.odd_fields_of_new_runs", "tag *", NAMES),
    ("runs.unknown_runs", "history *", THERE),
    ("runs.ends_of_runs", "*: shown", MOMENTS),
    ("runs.changing_runs", "name tag: shown", MOMENTS),
    ("runs.metrics_of_models_and_datasets", "run", "a metric of a model that is not known is kept"),
    ("runs.metrics_of_models_and_datasets", "history", MORE),
    ("runs.params", "NUL", "NUL cannot be stored by every database"),
    ("runs.params", "shown", "NUL cannot be stored by every database"),
    ("runs.inputs", "shown", "data used in two ways is two inputs"),
    ("runs.models_as_inputs_and_outputs", "shown", REPEATED),
    ("search.filters_on_metrics", "metrics. > 0", NAMES),
    ("search.filters_on_attributes", "nothing = 'x'", WORDS),
    ("search.filters_on_attributes", "   ", "a blank filter asks for nothing in particular"),
    ("search.orders", "['nothing']", WORDS),
    ("search.orders", "['metrics.']", NAMES),
    ("search.pages", "token *", TOKENS),
    ("logged.logged_models_in_no_place", "unknown run", THERE),
    ("logged.tags_of_logged_models", "remove x/y*", "a key with a slash can be removed, too"),
    ("logged.tags_of_logged_models", "left", "a key with a slash can be removed, too"),
    ("logged.params_of_logged_models", "*long", LIMITS),
    ("logged.deleted_logged_models", "again", THERE),
    ("logged.deleted_logged_models", "end", THERE),
    ("logged.filters_of_logged_models", "status*", BROKEN),
    ("logged.filters_of_logged_models", "name", WORDS),
    ("logged.filters_of_logged_models", "name = 'a' OR *", WORDS),
    ("logged.filters_of_logged_models", "nothing = 'x'", WORDS),
    ("logged.filters_of_logged_models", "tags.t IS NULL", WORDS),
    ("logged.filters_of_logged_models", "experiment_id = '0'", "experiments are named beside the filter, not in it"),
    ("logged.orders_of_logged_models", "*metrics.m*", NOT_A_NUMBER),
    ("logged.pages_of_logged_models", "other question", TOKENS),
    ("logged.pages_of_logged_models", "max_results -1", UNREADABLE),
    ("logged.logged_models_by_dataset", "t*", BROKEN),
    ("registry.names_of_registered_models", "long*", LIMITS),
    ("registry.names_of_registered_models", "backslash*", PATHS),
    ("registry.renaming_models", "new", MORE),
    ("registry.new_versions", "http", ELSEWHERE),
    ("registry.new_versions", "dbfs", "a version more, since that of http was made"),
    ("registry.new_versions", "fragment", "a version more, since that of http was made"),
    ("registry.unknown_versions", "model", MORE),
    ("registry.aliases", "model", MORE),
    ("registry.searching_models", "nothing = 'x'", WORDS),
    ("registry.pages_of_models", "max_results *", UNREADABLE),
    ("registry.searching_versions", "name = * AND *", MORE),
    ("registry.searching_versions", "nothing = 'x'", WORDS),
    ("registry.searching_versions", "run_id IN ('')", BROKEN),
    ("artifacts.files_and_folders", "list *", EMPTY),
    ("artifacts.names_of_files", "list", "the client does not encode a percent sign, and what arrives is no text"),
    ("artifacts.names_of_files", "per%cent*", "the client does not encode a percent sign, and what arrives is no text"),
    ("artifacts.folders_of_files", "d\\..\\e", PATHS),
    ("artifacts.folders_of_files", "list", PATHS),
    ("artifacts.the_proxy_itself", "headers", WORDS),
    ("artifacts.the_proxy_itself", "list*up", WORDS),
    ("artifacts.the_proxy_itself", "read folder", WORDS),
    ("artifacts.the_proxy_itself", "read nothing", WORDS),
    ("artifacts.the_proxy_itself", "put", "errors and answers are JSON at every address"),
    ("artifacts.the_proxy_itself", "delete again", THERE),
    ("wire.bodies_that_are_no_json", "*", UNREADABLE),
    ("wire.other_content_types", "application/JSON", "media types do not know capitals"),
    ("wire.wrong_kinds", "history", UNREADABLE),
    ("wire.wrong_kinds", "* float", UNREADABLE),
    ("wire.wrong_kinds", "value bool", UNREADABLE),
    ("wire.whole_numbers_as_text", "*number", UNREADABLE),
    ("wire.whole_numbers_as_text", "* unknown", UNREADABLE),
    ("wire.whole_numbers_as_text", "run", MORE),
    ("wire.wrong_kinds_in_batches", "m* number", UNREADABLE),
    ("wire.wrong_kinds_in_batches", "metric * text", UNREADABLE),
    ("wire.wrong_kinds_in_batches", "param number", UNREADABLE),
    ("wire.wrong_kinds_in_batches", "tag number", UNREADABLE),
    ("wire.wrong_kinds_in_batches", "a megabyte", "a batch has at most a million bytes, as MLflow says and does not check"),
    ("wire.wrong_kinds_in_batches", "run", UNREADABLE),
    ("wire.histories_in_pages", "text", UNREADABLE),
    ("wire.shapes_of_answers", "run", MORE),
    ("lives.a_run_deleted_before_its_experiment", "early", "what was deleted before its experiment stays deleted"),
    ("wire.histories_in_pages", "unknown run", THERE),
    ("wire.addresses_that_are_not", "*", "errors are JSON at every address"),
)


def reason(case: str, label: str) -> str | None:
    """Why Tilth may differ there, None where it may not."""
    return next((why for cases, labels, why in KNOWN if fnmatchcase(case, cases) and fnmatchcase(label, _plain(labels))), None)


def _plain(labels: str) -> str:
    """Brackets are no pattern here."""
    return labels.replace("[", "[[]")
