//! What the API says of itself: the OpenAPI document, a page for people, and whose token one holds. And what it says where nothing is.
use super::book::{BASE, Book, Route};
use super::guard::Whose;
use super::problem::{Kind, Problem, TYPES};
use axum::Json;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::{Method, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;
use utoipa::ToSchema;

/// The pages, made once.
pub(super) struct Pages {
    document: Bytes,
    page: Bytes,
}

/// The token that the request came with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenShown {
    /// Names it in `trunkline token list`.
    id: String,
    /// What it is for.
    label: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// When it was made (RFC 3339).
    created: String,
    /// When its time is over; null: never.
    expires: Option<String>,
}

pub(super) fn routes(book: Book) -> Book {
    let html = json!({ "text/html": { "schema": { "type": "string" } } });
    let json = json!({ "application/json": { "schema": { "type": "object" } } });
    book.add(
        Route::get("", "read_page")
            .says("server", "A page that lists what there is")
            .answers_of(200, "The page", html),
        page,
    )
    .add(
        Route::get("/openapi.json", "read_openapi")
            .says("server", "This document")
            .answers_of(200, "OpenAPI 3.1", json),
        document,
    )
    .add(
        Route::get("/token", "read_token")
            .says("server", "The token the request came with")
            .any_token()
            .answers::<TokenShown>(200, "The token, without its secret"),
        token,
    )
}

async fn document(Extension(pages): Extension<Arc<Pages>>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        pages.document.clone(),
    )
        .into_response()
}

async fn page(Extension(pages): Extension<Arc<Pages>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
    ];
    (headers, pages.page.clone()).into_response()
}

async fn token(Extension(Whose(token)): Extension<Whose>) -> Json<TokenShown> {
    Json(TokenShown {
        id: token.id.clone(),
        label: token.label.clone(),
        scopes: token.scopes.iter().map(|scope| scope.name()).collect(),
        created: token.created.to_string(),
        expires: token.expires.map(|at| at.to_string()),
    })
}

pub(super) async fn no_route(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(
        Kind::NoSuchRoute,
        format!("there is nothing at {path}; {BASE}/openapi.json lists what there is"),
    )
}

pub(in crate::api) async fn no_method(method: Method) -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        format!("{method} is not served here; see Allow"),
    )
}

impl Pages {
    pub(super) fn new(document: &Value) -> Pages {
        Pages {
            document: Bytes::from(document.to_string()),
            page: Bytes::from(html(document)),
        }
    }
}

fn html(document: &Value) -> String {
    let mut out = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Trunkline API</title>\n\
         <style>body{font:15px/1.5 sans-serif;margin:2em auto;max-width:60em;padding:0 1em}td,th{text-align:left;padding:.15em 1em .15em 0;vertical-align:top}code{white-space:nowrap}</style>\n",
    );
    let _ = write!(
        out,
        "<h1>Trunkline API</h1><p>OpenAPI: <a href=\"{BASE}/openapi.json\">{BASE}/openapi.json</a>. Send <code>Authorization: Bearer TOKEN</code>.</p>"
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        let _ = write!(
            out,
            "<h2>{}</h2><table>",
            escaped(tag["description"].as_str().unwrap_or_default())
        );
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if operation["tags"][0] == name {
                    row(&mut out, method, path, operation);
                }
            }
        }
        out.push_str("</table>\n");
    }
    out.push_str("<h2>Problems</h2><table>");
    for kind in Kind::ALL {
        let id = TYPES.rsplit_once('#').map_or("", |(_, id)| id);
        let _ = write!(
            out,
            "<tr id=\"{id}{}\"><td><code>{}</code><td>{}<td>{}</tr>",
            kind.name(),
            kind.name(),
            kind.status(),
            kind.title()
        );
    }
    out.push_str("</table></html>\n");
    out
}

fn row(out: &mut String, method: &str, path: &str, operation: &Value) {
    let _ = write!(
        out,
        "<tr><td><code>{} {}</code><td>{}<td><code>{}</code></tr>",
        method.to_ascii_uppercase(),
        escaped(path),
        escaped(operation["summary"].as_str().unwrap_or_default()),
        escaped(operation["x-scope"].as_str().unwrap_or_default()),
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
