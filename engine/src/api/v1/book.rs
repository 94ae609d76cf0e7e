//! The routes and their description in one: what is declared here is served, and what is served is in the OpenAPI document.
use super::V1;
use super::guard::{self, Gate, Needs};
use super::problem::{self, Problem};
use super::scope::Scope;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

/// Where the API begins.
pub(super) const BASE: &str = "/api/v1";

/// What there is, in the order of the document.
const TAGS: &[(&str, &str)] = &[
    ("server", "The server, its trunks, phones and numbers"),
    ("calls", "Calls in progress, and those to come"),
    ("conferences", "Conferences in progress"),
    ("flows", "Flows: the programs that numbers lead to"),
    ("queues", "Queues and agents"),
    ("records", "Call records, recordings, webhook deliveries"),
    ("voicemail", "Voicemail boxes"),
    ("events", "What happens, as it happens"),
];

/// A route as it is declared.
pub(super) struct Route {
    method: &'static str,
    /// Below [`BASE`].
    path: &'static str,
    id: &'static str,
    needs: Needs,
    tag: &'static str,
    summary: &'static str,
    description: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    refusals: BTreeSet<u16>,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Route {
    fn new(method: &'static str, path: &'static str, id: &'static str) -> Route {
        Route {
            method,
            path,
            id,
            needs: Needs::Nothing,
            tag: "server",
            summary: "",
            description: String::new(),
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            refusals: BTreeSet::new(),
            schemas: Vec::new(),
        }
    }

    /// `GET path`; `id` names the operation.
    pub(super) fn get(path: &'static str, id: &'static str) -> Route {
        Route::new("get", path, id)
    }

    /// `POST path`.
    pub(super) fn post(path: &'static str, id: &'static str) -> Route {
        Route::new("post", path, id)
    }

    /// `PUT path`.
    pub(super) fn put(path: &'static str, id: &'static str) -> Route {
        Route::new("put", path, id)
    }

    /// `PATCH path`.
    pub(super) fn patch(path: &'static str, id: &'static str) -> Route {
        Route::new("patch", path, id)
    }

    /// `DELETE path`.
    pub(super) fn delete(path: &'static str, id: &'static str) -> Route {
        Route::new("delete", path, id)
    }

    /// Which of [`TAGS`], and in one line what it does.
    pub(super) fn says(mut self, tag: &'static str, summary: &'static str) -> Route {
        (self.tag, self.summary) = (tag, summary);
        self
    }

    /// More about it.
    pub(super) fn more(mut self, description: &str) -> Route {
        self.description = description.to_owned();
        self
    }

    /// The scope that a token must hold.
    pub(super) fn scope(mut self, scope: Scope) -> Route {
        self.needs = Needs::Scope(scope);
        self
    }

    /// Any token will do.
    pub(super) fn any_token(mut self) -> Route {
        self.needs = Needs::Token;
        self
    }

    /// It has these parameters in the query.
    pub(super) fn query<T: IntoParams>(mut self) -> Route {
        let parameters = T::into_params(|| Some(ParameterIn::Query));
        self.parameters.extend(parameters.iter().map(to_value));
        self
    }

    /// It understands this header.
    pub(super) fn header(mut self, name: &str, description: &str) -> Route {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description, "schema": { "type": "string" },
        }));
        self
    }

    /// It wants a body of this type.
    pub(super) fn body<T: ToSchema>(self) -> Route {
        let content = json!({ "application/json": { "schema": reference::<T>() } });
        self.with::<T>().body_of(content, true)
    }

    /// It takes a body of this type, or none.
    pub(super) fn maybe_body<T: ToSchema>(self) -> Route {
        let content = json!({ "application/json": { "schema": reference::<T>() } });
        self.with::<T>().body_of(content, false)
    }

    /// Media types of its body, each with a schema.
    pub(super) fn body_of(mut self, content: Value, required: bool) -> Route {
        self.body = Some(json!({ "required": required, "content": content }));
        self
    }

    /// It answers with this type.
    pub(super) fn answers<T: ToSchema>(self, status: u16, description: &str) -> Route {
        let content = json!({ "application/json": { "schema": reference::<T>() } });
        self.with::<T>().answers_of(status, description, content)
    }

    /// It answers with a page of these.
    pub(super) fn lists<T: ToSchema>(self, description: &str) -> Route {
        let page = json!({
            "type": "object",
            "required": ["items", "next"],
            "properties": {
                "items": { "type": "array", "items": reference::<T>() },
                "next": { "type": ["string", "null"], "description": "The cursor of what follows; null: this is all." },
            },
        });
        let content = json!({ "application/json": { "schema": page } });
        self.with::<T>().answers_of(200, description, content)
    }

    /// It answers without a body.
    pub(super) fn answers_nothing(mut self, status: u16, description: &str) -> Route {
        self.answers
            .insert(status, json!({ "description": description }));
        self
    }

    /// It answers with these media types, each with a schema.
    pub(super) fn answers_of(mut self, status: u16, description: &str, content: Value) -> Route {
        let answer = json!({ "description": description, "content": content });
        self.answers.insert(status, answer);
        self
    }

    /// It may be refused with these statuses, besides those that follow from what it takes.
    pub(super) fn refuses(mut self, statuses: &[u16]) -> Route {
        self.refusals.extend(statuses);
        self
    }

    fn with<T: ToSchema>(mut self) -> Route {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        self
    }

    /// What follows from what it takes.
    fn all_refusals(&self) -> BTreeSet<u16> {
        let mut all = self.refusals.clone();
        all.extend([400, 405, 408, 413, 421]);
        if self.path.contains('{') {
            all.insert(404);
        }
        if self.needs != Needs::Nothing {
            all.extend([401, 429]);
        }
        if matches!(self.needs, Needs::Scope(_)) {
            all.insert(403);
        }
        if self.needs == Needs::Scope(Scope::CallsWrite) {
            all.extend([409, 422, 503]);
        }
        if self.body.is_some() {
            all.extend([415, 422]);
        }
        if self.method == "post" {
            all.extend([409, 422, 503]);
        }
        all
    }

    fn operation(&self) -> Value {
        let mut parameters: Vec<Value> = path_names(self.path)
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1, "maxLength": 256 } }))
            .collect();
        parameters.extend(self.parameters.iter().cloned());
        if self.method == "post" {
            parameters.push(json!({
                "name": "Idempotency-Key", "in": "header", "required": false,
                "description": "Names this request: sent again with the same key, it is answered again and not done again. Kept for a day.",
                "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
            }));
        }
        let mut answers = self.answers.clone();
        for status in self.all_refusals() {
            let name = format!("#/components/responses/Problem{status}");
            answers.insert(status, json!({ "$ref": name }));
        }
        let answers: Map<String, Value> = answers
            .into_iter()
            .map(|(status, answer)| (status.to_string(), answer))
            .collect();
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "parameters": parameters,
            "responses": answers,
            "security": match self.needs { Needs::Nothing => json!([]), _ => json!([{ "token": [] }]) },
        });
        let needs = match self.needs {
            Needs::Nothing => "Needs no token.".to_owned(),
            Needs::Token => "Needs a token, whatever its scopes.".to_owned(),
            Needs::Scope(scope) => format!("Needs the scope `{scope}`."),
        };
        operation["description"] = format!("{} {needs}", self.description).trim().into();
        if let Needs::Scope(scope) = self.needs {
            operation["x-scope"] = scope.name().into();
        }
        if let Some(body) = &self.body {
            operation["requestBody"] = body.clone();
        }
        operation
    }
}

/// Names in braces.
fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn to_value(what: &impl serde::Serialize) -> Value {
    serde_json::to_value(what).unwrap_or_default()
}

fn reference<T: ToSchema>() -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
}

/// All routes.
pub(super) struct Book {
    v1: Arc<V1>,
    router: Router<Arc<V1>>,
    routes: Vec<Route>,
}

impl Book {
    pub(super) fn new(v1: Arc<V1>) -> Book {
        Book {
            v1,
            router: Router::new(),
            routes: Vec::new(),
        }
    }

    /// Serves a route.
    pub(super) fn add<H, T>(mut self, route: Route, serve: H) -> Book
    where
        H: Handler<T, Arc<V1>>,
        T: 'static,
    {
        let filter = match route.method {
            "get" => MethodFilter::GET,
            "post" => MethodFilter::POST,
            "put" => MethodFilter::PUT,
            "patch" => MethodFilter::PATCH,
            _ => MethodFilter::DELETE,
        };
        let gate = Gate {
            v1: self.v1.clone(),
            needs: route.needs,
        };
        let guarded =
            on(filter, serve).route_layer(axum::middleware::from_fn_with_state(gate, guard::inner));
        let path = format!("{BASE}{}", route.path);
        self.router = self.router.route(&path, guarded);
        self.routes.push(route);
        self
    }

    /// The router and the OpenAPI document.
    pub(super) fn close(self) -> (Router<Arc<V1>>, Value) {
        let document = document(&self.routes);
        (self.router, document)
    }
}

fn document(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    let mut schemas = Vec::new();
    for route in routes {
        let path = format!("{BASE}{}", route.path);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[route.method] = route.operation();
        schemas.extend(
            route
                .schemas
                .iter()
                .map(|(name, of)| (name.clone(), to_value(of))),
        );
    }
    let mut problems = Vec::new();
    Problem::schemas(&mut problems);
    schemas.extend(
        problems
            .iter()
            .map(|(name, of)| (name.clone(), to_value(of))),
    );
    let tags: Vec<Value> = TAGS
        .iter()
        .filter(|(tag, _)| routes.iter().any(|route| route.tag == *tag))
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Trunkline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Calls, conferences, flows and records of a Trunkline server. docs/api.md has the first ten minutes.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.into_iter().collect::<Map<String, Value>>(),
            "responses": problem_responses(),
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "A token made by `trunkline token create`. Each operation names the scope it needs.",
            } },
        },
    })
}

fn problem_responses() -> Map<String, Value> {
    let mut kinds: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for kind in problem::Kind::ALL {
        kinds.entry(kind.status()).or_default().push(kind.title());
    }
    let content =
        json!({ problem::MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } });
    let response = |(status, titles): (u16, Vec<&str>)| {
        let response = json!({ "description": titles.join("; "), "content": content });
        (format!("Problem{status}"), response)
    };
    kinds.into_iter().map(response).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_path_are_found() {
        let names: Vec<_> = path_names("/calls/{id}/participants/{leg}").collect();
        assert_eq!(names, ["id", "leg"]);
        assert_eq!(path_names("/calls").count(), 0);
    }
}
