//! `/docs`: the API's document to read and to try, by Swagger UI, whose files are in the binary.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use banyan_net::Problem;
use utoipa_swagger_ui::Config;

/// Only what comes from here runs; pictures and styles are the UI's own.
const POLICY: &str = "default-src 'self'; img-src 'self' data: https:; style-src 'self' 'unsafe-inline'";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Banyan: the public API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

/// A token behind the number sign (`/docs#token=...`, as `banyan run` prints it) is filled in; a browser sends it to nobody.
const START: &str = r##"const ui = SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#ui", deepLinking: false, persistAuthorization: false, tryItOutEnabled: true,
  onComplete: () => {
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    if (token) ui.preauthorizeApiKey("bearer", token);
  },
});
"##;

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::new(["/openapi.json"])));

pub(crate) async fn page() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))], Html(PAGE)).into_response()
}

pub(crate) async fn file(Path(name): Path<String>) -> Response {
    let script = [(header::CONTENT_TYPE, "text/javascript")];
    if name == "start.js" {
        return (script, START).into_response();
    }
    match utoipa_swagger_ui::serve(&name, CONFIG.clone()) {
        Ok(Some(file)) => {
            ([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response()
        }
        _ => Problem::new(StatusCode::NOT_FOUND, "no_such_path", "see /openapi.json").into_response(),
    }
}
