"""Questions about deployments."""

from tilth.domains.serving.queries.ab_tests import ab_test_detail, ab_test_rows
from tilth.domains.serving.queries.deployments import (
    deployment_by_name,
    deployment_or_none,
    deployments_page,
    generations_of,
    projects_served_across_projects,
)
from tilth.domains.serving.queries.label_coverage import label_coverage
from tilth.domains.serving.queries.labels import labelled_scores, versions_with_labels
from tilth.domains.serving.queries.pages import (
    Surroundings,
    deployment_detail,
    deployment_one,
    deployment_page,
    deployments_of_model,
)
from tilth.domains.serving.queries.plane import plane_deployments_across_projects

__all__ = [
    "Surroundings",
    "ab_test_detail",
    "ab_test_rows",
    "deployment_by_name",
    "deployment_detail",
    "deployment_one",
    "deployment_or_none",
    "deployment_page",
    "deployments_of_model",
    "deployments_page",
    "generations_of",
    "label_coverage",
    "labelled_scores",
    "plane_deployments_across_projects",
    "projects_served_across_projects",
    "versions_with_labels",
]
