"""Who may use which route, written by hand: method, path, least role, token scope.

Least role: public, signed_in, plane (the model servers), of the project (viewer < developer < maintainer < owner), or of the
organisation (member < auditor < admin).
"""

ROLES = ("viewer", "developer", "maintainer", "owner")
ORGANISATION = ("member", "auditor", "admin")

TABLE = """
GET    /                                                                              signed_in   read
GET    /api/v1/audit                                                                  auditor     read
GET    /api/v1/health                                                                 public      -
GET    /api/v1/mentions                                                               signed_in   read
POST   /api/v1/mentions/seen                                                          signed_in   read
POST   /api/v1/login-links                                                            signed_in   manage
PUT    /api/v1/password                                                               signed_in   manage
GET    /api/v1/outbox                                                                 auditor     read
POST   /api/v1/outbox/{event_id:str}/retry                                            admin       manage
GET    /api/v1/p/{project:str}/access                                                 viewer      read
GET    /api/v1/p/{project:str}/audit                                                  maintainer  read
PATCH  /api/v1/p/{project:str}/comments/{comment_id:str}                              viewer      write
DELETE /api/v1/p/{project:str}/comments/{comment_id:str}                              viewer      write
GET    /api/v1/p/{project:str}/deployments                                            viewer      read
DELETE /api/v1/p/{project:str}/deployments/{name:str}                                 maintainer  write
GET    /api/v1/p/{project:str}/deployments/{name:str}                                 viewer      read
PUT    /api/v1/p/{project:str}/deployments/{name:str}                                 maintainer  write
POST   /api/v1/p/{project:str}/deployments/{name:str}/rollback                        maintainer  write
GET    /api/v1/p/{project:str}/deployments/{name:str}/wait                            viewer      read
GET    /api/v1/p/{project:str}/experiments                                            viewer      read
POST   /api/v1/p/{project:str}/experiments                                            developer   write
DELETE /api/v1/p/{project:str}/experiments/{experiment_id:str}                        developer   write
GET    /api/v1/p/{project:str}/experiments/{experiment_id:str}                        viewer      read
PATCH  /api/v1/p/{project:str}/experiments/{experiment_id:str}                        developer   write
POST   /api/v1/p/{project:str}/experiments/{experiment_id:str}/restore                developer   write
POST   /api/v1/p/{project:str}/import/logged-models                                   maintainer  write
POST   /api/v1/p/{project:str}/import/models                                          maintainer  write
POST   /api/v1/p/{project:str}/import/runs                                            maintainer  write
POST   /api/v1/p/{project:str}/import/runs/known                                      maintainer  write
GET    /api/v1/p/{project:str}/logged-models                                          viewer      read
POST   /api/v1/p/{project:str}/logged-models                                          developer   write
DELETE /api/v1/p/{project:str}/logged-models/{logged_model_id:str}                    maintainer  write
GET    /api/v1/p/{project:str}/logged-models/{logged_model_id:str}                    viewer      read
GET    /api/v1/p/{project:str}/logged-models/{logged_model_id:str}/files/{path:path}  viewer      read
PUT    /api/v1/p/{project:str}/logged-models/{logged_model_id:str}/files/{path:path}  developer   write
POST   /api/v1/p/{project:str}/logged-models/{logged_model_id:str}/finalize           developer   write
PUT    /api/v1/p/{project:str}/logged-models/{logged_model_id:str}/tags               developer   write
GET    /api/v1/p/{project:str}/members                                                viewer      read
DELETE /api/v1/p/{project:str}/members/{name:str}                                     owner       manage
PUT    /api/v1/p/{project:str}/members/{name:str}                                     owner       manage
GET    /api/v1/p/{project:str}/models                                                 viewer      read
POST   /api/v1/p/{project:str}/models                                                 developer   write
DELETE /api/v1/p/{project:str}/models/{name:str}                                      maintainer  write
GET    /api/v1/p/{project:str}/evaluations/{evaluation_id:str}                        viewer      read
GET    /api/v1/p/{project:str}/evaluations/{evaluation_id:str}/scores                 viewer      read
PUT    /api/v1/p/{project:str}/evaluations/{evaluation_id:str}/scores                 developer   write
GET    /api/v1/p/{project:str}/logged-models/{logged_model_id:str}/evaluations        viewer      read
POST   /api/v1/p/{project:str}/logged-models/{logged_model_id:str}/evaluations        developer   write
GET    /api/v1/p/{project:str}/model-policy                                           viewer      read
PUT    /api/v1/p/{project:str}/model-policy                                           owner       write
POST   /api/v1/p/{project:str}/models/{name:str}/aliases/{alias:str}/override         owner       write
GET    /api/v1/p/{project:str}/models/{name:str}/diff                                 viewer      read
GET    /api/v1/p/{project:str}/models/{name:str}/evaluations                          viewer      read
GET    /api/v1/p/{project:str}/models/{name:str}/gates                                viewer      read
POST   /api/v1/p/{project:str}/models/{name:str}/gates                                maintainer  write
DELETE /api/v1/p/{project:str}/models/{name:str}/gates/{number:int}                   owner       write
GET    /api/v1/p/{project:str}/models/{name:str}/policy                               viewer      read
PUT    /api/v1/p/{project:str}/models/{name:str}/policy                               owner       write
POST   /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/approval      developer   write
POST   /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/approval/approve maintainer  write
POST   /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/approval/reject maintainer  write
GET    /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/evaluations   viewer      read
POST   /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/evaluations   developer   write
POST   /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/gates/check   developer   write
GET    /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/life          viewer      read
GET    /api/v1/p/{project:str}/models/{name:str}                                      viewer      read
PATCH  /api/v1/p/{project:str}/models/{name:str}                                      developer   write
GET    /api/v1/p/{project:str}/models/{name:str}/comments                             viewer      read
POST   /api/v1/p/{project:str}/models/{name:str}/comments                             viewer      write
DELETE /api/v1/p/{project:str}/models/{name:str}/aliases/{alias:str}                  maintainer  write
GET    /api/v1/p/{project:str}/models/{name:str}/aliases/{alias:str}                  viewer      read
PUT    /api/v1/p/{project:str}/models/{name:str}/aliases/{alias:str}                  maintainer  write
POST   /api/v1/p/{project:str}/models/{name:str}/restore                              maintainer  write
POST   /api/v1/p/{project:str}/models/{name:str}/versions                             developer   write
DELETE /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}               maintainer  write
GET    /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}               viewer      read
PATCH  /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}               developer   write
GET    /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/comments      viewer      read
POST   /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/comments      viewer      write
GET    /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/card          viewer      read
PUT    /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/card          developer   write
GET    /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/card.md       viewer      read
POST   /api/v1/p/{project:str}/models/{name:str}/versions/{version:int}/restore       maintainer  write
GET    /api/v1/p/{project:str}/retention                                              viewer      read
POST   /api/v1/p/{project:str}/retention                                              maintainer  write
POST   /api/v1/p/{project:str}/retention/apply                                        maintainer  write
DELETE /api/v1/p/{project:str}/retention/{rule_id:str}                                maintainer  write
GET    /api/v1/p/{project:str}/runs                                                   viewer      read
POST   /api/v1/p/{project:str}/runs                                                   developer   write
DELETE /api/v1/p/{project:str}/runs/{run_id:str}                                      developer   write
POST   /api/v1/p/{project:str}/runs/bulk                                              developer   write
GET    /api/v1/p/{project:str}/runs/curves                                            viewer      read
GET    /api/v1/p/{project:str}/runs/{run_id:str}                                      viewer      read
PATCH  /api/v1/p/{project:str}/runs/{run_id:str}                                      developer   write
GET    /api/v1/p/{project:str}/runs/{run_id:str}/comments                             viewer      read
POST   /api/v1/p/{project:str}/runs/{run_id:str}/comments                             viewer      write
GET    /api/v1/p/{project:str}/runs/{run_id:str}/artifacts                            viewer      read
DELETE /api/v1/p/{project:str}/runs/{run_id:str}/artifacts/{path:path}                developer   write
GET    /api/v1/p/{project:str}/runs/{run_id:str}/artifacts/{path:path}                viewer      read
PUT    /api/v1/p/{project:str}/runs/{run_id:str}/artifacts/{path:path}                developer   write
POST   /api/v1/p/{project:str}/runs/{run_id:str}/heartbeat                            developer   write
POST   /api/v1/p/{project:str}/runs/{run_id:str}/log                                  developer   write
GET    /api/v1/p/{project:str}/runs/{run_id:str}/metrics                              viewer      read
GET    /api/v1/p/{project:str}/runs/{run_id:str}/metrics/{key:path}                   viewer      read
POST   /api/v1/p/{project:str}/runs/{run_id:str}/restore                              developer   write
POST   /api/v1/p/{project:str}/uploads                                                developer   write
DELETE /api/v1/p/{project:str}/uploads/{upload_id:str}                                developer   write
GET    /api/v1/p/{project:str}/uploads/{upload_id:str}                                developer   write
POST   /api/v1/p/{project:str}/uploads/{upload_id:str}/complete                       developer   write
PUT    /api/v1/p/{project:str}/uploads/{upload_id:str}/parts/{number:int}             developer   write
GET    /api/v1/p/{project:str}/webhooks                                               maintainer  read
POST   /api/v1/p/{project:str}/webhooks                                               maintainer  manage
DELETE /api/v1/p/{project:str}/webhooks/{name:str}                                    maintainer  manage
PATCH  /api/v1/p/{project:str}/webhooks/{name:str}                                    maintainer  manage
GET    /api/v1/p/{project:str}/webhooks/{name:str}/deliveries                         maintainer  read
POST   /api/v1/p/{project:str}/webhooks/{name:str}/deliveries/{delivery_id:str}/retry  maintainer  manage
POST   /api/v1/p/{project:str}/webhooks/{name:str}/secret                             maintainer  manage
POST   /api/v1/p/{project:str}/webhooks/{name:str}/test                               maintainer  manage
GET    /api/v1/p/{project:str}/trash                                                  viewer      read
POST   /api/v1/p/{project:str}/trash/empty                                            maintainer  write
GET    /api/v1/plane/models/{logged_model_id:str}/files/{path:path}                   plane       plane
GET    /api/v1/projects                                                               signed_in   read
POST   /api/v1/projects                                                               member      manage
DELETE /api/v1/projects/{project:str}                                                 owner       manage
GET    /api/v1/projects/{project:str}                                                 viewer      read
PATCH  /api/v1/projects/{project:str}                                                 maintainer  manage
DELETE /api/v1/sessions                                                               signed_in   manage
GET    /api/v1/sessions                                                               signed_in   read
POST   /api/v1/sessions                                                               public      -
DELETE /api/v1/sessions/{session_id:str}                                              signed_in   manage
GET    /api/v1/tokens                                                                 signed_in   read
POST   /api/v1/tokens                                                                 signed_in   manage
DELETE /api/v1/tokens/{token_id:str}                                                  signed_in   manage
GET    /api/v1/users                                                                  auditor     read
POST   /api/v1/users                                                                  admin       manage
PATCH  /api/v1/users/{name:str}                                                       admin       manage
POST   /api/v1/users/{name:str}/setup-links                                           admin       manage
GET    /api/v1/whoami                                                                 signed_in   read
GET    /account                                                                       signed_in   read
POST   /account/password                                                              signed_in   manage
POST   /account/sessions/end-all                                                      signed_in   manage
POST   /account/sessions/{session_id:str}/end                                         signed_in   manage
GET    /health                                                                        public      -
GET    /login                                                                         public      -
GET    /login/{secret:str}                                                            public      -
POST   /login                                                                         public      -
GET    /login/setup/{secret:str}                                                      public      -
POST   /login/setup/{secret:str}                                                      public      -
POST   /logout                                                                        signed_in   read
GET    /mentions                                                                      signed_in   read
POST   /mentions/seen                                                                 signed_in   read
GET    /p/{project:str}                                                               viewer      read
GET    /p/{project:str}/audit                                                         maintainer  read
POST   /p/{project:str}/audit/verify                                                  auditor     read
GET    /p/{project:str}/comments/{comment_id:str}                                     viewer      read
POST   /p/{project:str}/comments/{comment_id:str}/delete                              viewer      write
POST   /p/{project:str}/comments/{comment_id:str}/edit                                viewer      write
GET    /p/{project:str}/compare                                                       viewer      read
GET    /p/{project:str}/compare/values                                                viewer      read
GET    /p/{project:str}/deployments                                                   viewer      read
GET    /p/{project:str}/deployments/{name:str}                                        viewer      read
POST   /p/{project:str}/deployments/{name:str}/delete                                 maintainer  write
POST   /p/{project:str}/deployments/{name:str}/rollback                               maintainer  write
GET    /p/{project:str}/health                                                        public      -
GET    /p/{project:str}/models                                                        viewer      read
GET    /p/{project:str}/models/{name:str}                                             viewer      read
POST   /p/{project:str}/models/{name:str}/description                                 developer   write
POST   /p/{project:str}/models/{name:str}/comments                                    viewer      write
POST   /p/{project:str}/models/{name:str}/versions/{version:int}/comments             viewer      write
GET    /p/{project:str}/models/{name:str}/versions/{version:int}                      viewer      read
POST   /p/{project:str}/models/{name:str}/versions/{version:int}/aliases              maintainer  write
POST   /p/{project:str}/models/{name:str}/versions/{version:int}/card                 developer   write
POST   /p/{project:str}/models/{name:str}/versions/{version:int}/deploy               maintainer  write
GET    /p/{project:str}/runs                                                          viewer      read
GET    /p/{project:str}/runs.csv                                                      viewer      read
GET    /p/{project:str}/runs/{run_id:str}                                             viewer      read
POST   /p/{project:str}/runs/{run_id:str}/comments                                    viewer      write
GET    /p/{project:str}/runs/{run_id:str}/artifacts/{path:path}                       viewer      read
GET    /p/{project:str}/runs/{run_id:str}/curves                                      viewer      read
GET    /p/{project:str}/runs/{run_id:str}/curves.svg                                  viewer      read
POST   /p/{project:str}/runs/{run_id:str}/delete                                      developer   write
GET    /p/{project:str}/runs/{run_id:str}/frames/{path:path}                          viewer      read
GET    /p/{project:str}/runs/{run_id:str}/images/{path:path}                          viewer      read
POST   /p/{project:str}/runs/{run_id:str}/archive                                     developer   write
POST   /p/{project:str}/runs/{run_id:str}/name                                        developer   write
POST   /p/{project:str}/runs/{run_id:str}/unarchive                                   developer   write
POST   /p/{project:str}/runs/{run_id:str}/notes                                       developer   write
POST   /p/{project:str}/runs/{run_id:str}/restore                                     developer   write
POST   /p/{project:str}/runs/{run_id:str}/tags                                        developer   write
GET    /p/{project:str}/search                                                        viewer      read
GET    /p/{project:str}/settings                                                      viewer      read
POST   /p/{project:str}/settings/description                                          maintainer  manage
POST   /p/{project:str}/settings/members                                              owner       manage
GET    /p/{project:str}/webhooks                                                      maintainer  read
POST   /p/{project:str}/webhooks                                                      maintainer  manage
GET    /p/{project:str}/webhooks/{name:str}                                           maintainer  read
POST   /p/{project:str}/webhooks/{name:str}/change                                    maintainer  manage
POST   /p/{project:str}/webhooks/{name:str}/retry                                     maintainer  manage
GET    /settings/projects                                                             signed_in   read
POST   /settings/projects                                                             member      manage
GET    /settings/tokens                                                               signed_in   read
POST   /settings/tokens                                                               signed_in   manage
POST   /settings/tokens/{token_id:str}/revoke                                         signed_in   manage
GET    /settings/users                                                                auditor     read
POST   /settings/users                                                                admin       manage
POST   /settings/users/{name:str}                                                     admin       manage
POST   /settings/users/{name:str}/reset                                               admin       manage
POST   /settings/users/{name:str}/tokens                                              admin       manage
GET    /p/{project:str}/version                                                       public      -
GET    /static/{tag:str}/{path:path}                                                  public      -
GET    /version                                                                       public      -
"""

MLFLOW_TABLE = """
GET    3.0/mlflow/server-info                                                         public      -
GET    3.0/mlflow/workspaces                                                          signed_in   read
GET    3.0/mlflow/workspaces/{workspace_name:str}                                     signed_in   read
"""
"""Calls of MLflow's protocol. Each stands at four addresses: below /api/ and /ajax-api/, with and without a project in front."""

MLFLOW_PREFIXES = ("/api/", "/ajax-api/", "/p/{project:str}/api/", "/p/{project:str}/ajax-api/")


def rows() -> list[tuple[str, str, str, str]]:
    """Method, path, least role, scope of every route."""
    own = [tuple(line.split()) for line in TABLE.strip().splitlines()]
    calls = [tuple(line.split()) for line in MLFLOW_TABLE.strip().splitlines()]
    spread = [(method, prefix + path, least, scope) for method, path, least, scope in calls for prefix in MLFLOW_PREFIXES]
    return [*own, *spread]
