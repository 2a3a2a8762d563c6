"""The model card: what Tilth knows about a version, laid out for a reader, and what only people can say.

After Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tilth.core.clock import Millis, iso
from tilth.domains.models.rules.card_sections import approvals_section, evaluations_section, gates_section, results_of, section_of
from tilth.domains.models.rules.data_words import profile_in_words
from tilth.domains.models.types import UnknownCardField
from tilth.wire.evaluations import VersionLife
from tilth.wire.models import CompiledEngine, ModelDocument
from tilth.wire.provenance import ProvenanceView
from tilth.wire.registry import Card, CardField, CardSection
from tilth.wire.signature import Column, Tensor

HUMAN_FIELDS: dict[str, tuple[str, str]] = {
    "intended_use": ("Intended use", "What decisions is the model for, and who makes them?"),
    "out_of_scope": ("Out of scope", "What must it not be used for?"),
    "limits": ("Limits", "Where is it known to be wrong or untested?"),
    "ethical_considerations": ("Ethical considerations", "Whom can it harm, and what is done about it?"),
    "contact": ("Contact", "Who answers for it?"),
}
"""Field -> (title, the question it answers)."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a person wrote into a field."""

    text: str
    updated: Millis
    by: str


@dataclass(frozen=True, slots=True)
class DataFact:
    """A data set that the source run read. digest: of its content. profile: JSON, as the run logged it."""

    name: str
    digest: str
    context: str = ""
    source: str = ""
    profile: str = ""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The source run, as the card needs it. code: such as commit, branch, entry point; environment: such as Python, platform."""

    id: str
    name: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    data: Sequence[DataFact] = ()


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Everything the card is made from. run None: logged outside a run, or its run is gone. size in bytes."""

    model: str
    version: int
    description: str
    created: Millis
    creator: str
    source: str
    logged_model_id: str | None
    manifest_digest: str | None
    size: int
    params: Mapping[str, str]
    document: ModelDocument | None
    run: RunFacts | None
    texts: Mapping[str, Text]
    tags: Mapping[str, str] = field(default_factory=dict)
    life: VersionLife | None = None
    provenance: ProvenanceView | None = None


def check_field(name: str) -> str:
    """Raises UnknownCardField."""
    if name not in HUMAN_FIELDS:
        raise UnknownCardField(name, tuple(HUMAN_FIELDS))
    return name


def card_of(facts: CardFacts) -> Card:
    fields = [_field(key, facts.texts.get(key)) for key in HUMAN_FIELDS]
    sections = [
        _identity(facts),
        *([_imported(facts.provenance)] if facts.provenance is not None else []),
        _data(facts.run),
        evaluations_section(facts.life),
        gates_section(facts.life),
        approvals_section(facts.life),
        _metrics(facts.run),
        _params(facts),
        _code(facts.run),
        _environment(facts),
        _signature(facts.document),
        _engines(facts.document),
    ]
    return Card(
        title=f"{facts.model} version {facts.version}",
        sections=sections,
        fields=fields,
        missing=[each.key for each in fields if each.missing],
        warnings=warnings_of(facts.document, facts.provenance) if facts.logged_model_id is not None else [],
        completeness=sum(not each.missing for each in fields) / len(fields),
        library=facts.document.flavour if facts.document else "",
        license=facts.tags.get("license", ""),
        tags=[f"{key}:{value}" if value else key for key, value in sorted(facts.tags.items()) if key != "license"],
        results=results_of(facts.life),
    )


def warnings_of(document: ModelDocument | None, provenance: ProvenanceView | None = None) -> list[str]:
    """What somebody who wants to use the version should know first, besides why it cannot be served."""
    if document is None and provenance is not None:
        return []
    if document is None:
        return ["it was logged without tilth.json, so Tilth knows no signature of it and cannot serve it"]
    found = [
        f"its {engine.engine} form failed parity and does not serve ({engine.parity.reason or 'outputs differ'}): "
        f"{document.flavour} itself answers, more slowly"
        for engine in document.compiled
        if not engine.parity.passed
    ]
    if not document.compiled and document.not_compiled:
        found.append(f"it was not compiled ({document.not_compiled}): {document.flavour} itself answers, more slowly")
    return found


def engine_of(document: ModelDocument | None) -> str:
    """Who answers requests: the first compiled form that passed parity, else the framework itself."""
    if document is None:
        return ""
    return next((engine.engine for engine in document.compiled if engine.parity.passed), document.flavour)


def _field(key: str, text: Text | None) -> CardField:
    title, asks = HUMAN_FIELDS[key]
    if text is None or not text.text:
        return CardField(key, title, "", missing=True, asks=asks)
    return CardField(key, title, text.text, missing=False, asks=asks, updated=text.updated, by=text.by)


def _identity(facts: CardFacts) -> CardSection:
    known = {
        "Model": facts.model,
        "Version": str(facts.version),
        "Description": facts.description,
        "Registered": f"{iso(facts.created)} by {facts.creator}",
        "Run": f"{facts.run.name} ({facts.run.id})" if facts.run else "",
        "Logged model": facts.logged_model_id or "",
        "Files": f"elsewhere, at {facts.source}" if facts.logged_model_id is None else "",
        "Manifest digest": facts.manifest_digest or "",
        "Size": f"{facts.size:,} bytes" if facts.logged_model_id else "",
        "Framework": facts.document.flavour if facts.document else "",
    }
    return section_of("model", "Model", known)


def _data(run: RunFacts | None) -> CardSection:
    if run is None or not run.data:
        return section_of("data", "Data", {}, "Unknown: the run named no data. Say `run.use_dataset(name, data)` while training.")
    known: dict[str, str] = {}
    for each in run.data:
        name = f"{each.name} ({each.context})" if each.context else each.name
        parts = (
            profile_in_words(each.profile),
            f"from {each.source}" if each.source else "",
            f"sha256 {each.digest}" if each.digest else "",
        )
        known[name] = "; ".join(part for part in parts if part)
    return section_of("data", "Data", known)


def _metrics(run: RunFacts | None) -> CardSection:
    known = {key: f"{value:.6g}" for key, value in sorted(run.metrics.items())} if run else {}
    return section_of("metrics", "Metrics", known, "" if known else "Unknown: the run logged no metrics. Say `run.log(auc=...)`.")


def _params(facts: CardFacts) -> CardSection:
    known = {**(facts.run.params if facts.run else {}), **facts.params}
    return section_of("params", "Params", dict(sorted(known.items())), "" if known else "None were logged.")


def _code(run: RunFacts | None) -> CardSection:
    known = dict(run.code) if run else {}
    return section_of("code", "Code", known, "" if known else "Unknown: the model was logged outside a run.")


def _environment(facts: CardFacts) -> CardSection:
    known = dict(facts.run.environment) if facts.run else {}
    known.update(facts.document.frameworks if facts.document else {})
    return section_of("environment", "Environment", known, "" if known else "Unknown.")


def _imported(provenance: ProvenanceView) -> CardSection:
    known = {
        "from": f"{provenance.source} ({provenance.format})",
        "sha256": provenance.sha256,
        "may run code": "yes" if provenance.runs_code else "no",
        "look at it": f"{provenance.verdict}{': ' if provenance.findings else ''}{'; '.join(provenance.findings)}",
        "brought in by": provenance.recorded_by,
    }
    if provenance.trusted is not None:
        known["trusted by"] = f"{provenance.trusted_by}: {provenance.trust_reason}"
    return section_of("imported", "Imported", known)


def _tensor_in_words(tensor: Tensor) -> str:
    lengths = "".join(f" × {'any' if length < 0 else length}" for length in tensor.shape[1:])
    return f"{tensor.type}, rows{lengths}"


def _signature(document: ModelDocument | None) -> CardSection:
    if document is None:
        return section_of("signature", "Signature", {}, "Unknown: nobody asked the model, or it was logged without tilth.json.")
    known = {f"input {column.name}": column_in_words(column) for column in document.signature.inputs}
    known |= {f"input {tensor.name}": _tensor_in_words(tensor) for tensor in document.signature.tensors}
    known |= {f"output {column.name}": column_in_words(column) for column in document.signature.outputs}
    known |= {f"output {tensor.name}": _tensor_in_words(tensor) for tensor in document.signature.output_tensors}
    return section_of("signature", "Signature", known)


def column_in_words(column: Column) -> str:
    words: list[str] = [column.type]
    if column.categories is not None:
        shown = ", ".join(column.categories[:8])
        more = f", … {len(column.categories)} in all" if len(column.categories) > 8 else ""
        words.append(f"one of {shown}{more}; another one {'is refused' if column.unseen == 'refuse' else 'counts as missing'}")
    if column.nullable:
        words.append("may be missing")
    return ", ".join(words)


def _engines(document: ModelDocument | None) -> CardSection:
    if document is None:
        return section_of("engines", "Engines", {}, "None: Tilth cannot serve this version.")
    known = {engine.engine: _parity(engine) for engine in document.compiled}
    known[document.flavour] = "the reference" if document.compiled else "the reference and the only one"
    return section_of("engines", "Engines", known, document.not_compiled)


def _parity(engine: CompiledEngine) -> str:
    parity = engine.parity
    verdict = "passed parity" if parity.passed else f"FAILED parity: {parity.reason or 'outputs differ'}"
    checked = [
        word for word, done in (("missing values", parity.missing_checked), ("categories", parity.categories_checked)) if done
    ]
    also = f", {' and '.join(checked)} checked" if checked else ""
    seen = f"greatest difference {parity.max_difference:.3g} (allowed {parity.tolerance:.3g}), {parity.flips} flips{also}"
    return f"{verdict} on {parity.rows} rows: {seen}"
