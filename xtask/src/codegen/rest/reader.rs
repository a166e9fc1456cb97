//! From OpenAPI to the [model](super::model).

use anyhow::{Context as _, Result, bail, ensure};
use openapiv3::{
    Components, IntegerType, OpenAPI, ParameterData, ParameterSchemaOrContent, ReferenceOr, Schema,
    SchemaKind, StatusCode, StringType, Type,
};
use serde::Deserialize;

use super::{
    extensions::Extensions,
    model::{Api, Choice, Kind, Location, Method, Operation, Parameter, Segment, Violation},
};

/// Reads a description.
///
/// # Errors
///
/// Fails when it is not OpenAPI, or lacks or contradicts what the model needs. The message names
/// the operation and the parameter.
pub(crate) fn read(yaml: &str) -> Result<Api> {
    let document: OpenAPI = serde_norway::from_str(yaml)?;
    let reader = Reader {
        components: document.components.context("no components")?,
    };
    let mut operations = Vec::new();
    for (template, item) in &document.paths.paths {
        let item = item
            .as_item()
            .with_context(|| format!("{template} is a reference"))?;
        ensure!(
            item.parameters.is_empty(),
            "{template}: give parameters to its operations"
        );
        for (method, operation) in item.iter() {
            let id = operation.operation_id.as_deref();
            let operation = reader
                .operation(template, method, operation)
                .with_context(|| format!("operation `{}`", id.unwrap_or("without id")))?;
            operations.push(operation);
        }
    }
    let versions = reader.versions()?;
    let version = document.info.version;
    ensure!(
        versions.last() == Some(&version),
        "`ApiVersion` must end with {version}"
    );
    Ok(Api {
        version,
        versions,
        operations,
    })
}

struct Reader {
    components: Components,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    javascript: Option<String>,
    python: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ViolationExtension {
    target: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Repeated {
    First,
    Refuse,
}

impl Reader {
    fn operation(
        &self,
        template: &str,
        method: &str,
        source: &openapiv3::Operation,
    ) -> Result<Operation> {
        let extensions = Extensions::new(&source.extensions, &["x-names", "x-status-no"])?;
        let names: Names = extensions.required("x-names")?;
        let id = source.operation_id.clone().context("no operationId")?;
        let (_, name) = id
            .split_once('_')
            .context("operationId is not `Group_Name`")?;
        let name = name.to_owned();
        let method = match method {
            "delete" => Method::Delete,
            "get" => Method::Get,
            "head" => Method::Head,
            "post" => Method::Post,
            "put" => Method::Put,
            other => bail!("method {other} is not supported"),
        };
        let parameters = source
            .parameters
            .iter()
            .map(|parameter| self.parameter(parameter))
            .collect::<Result<Vec<_>>>()?;
        let path = path(template, &parameters)?;
        let (success, statuses) = statuses(source)?;
        let no = extensions.optional("x-status-no")?;
        if let Some(no) = no {
            ensure!(
                statuses.contains(&no),
                "x-status-no: {no} is not among the responses"
            );
        }
        Ok(Operation {
            name,
            summary: source.summary.clone().context("no summary")?,
            method,
            template: template.to_owned(),
            path,
            parameters,
            success,
            no,
            statuses,
            accept: self.accept(method, success, source)?,
            content_types: self.content_types(source)?,
            authenticated: !source.security.as_ref().is_some_and(Vec::is_empty),
            javascript: names.javascript,
            python: names.python,
            id,
        })
    }

    /// The media types of the answer, or those of an error when a success has no body. The answer
    /// to a `HEAD` never has one.
    fn accept(
        &self,
        method: Method,
        success: u16,
        source: &openapiv3::Operation,
    ) -> Result<Option<String>> {
        if method == Method::Head {
            return Ok(None);
        }
        let response = &source.responses.responses[&StatusCode::Code(success)];
        let response = resolve(response, "responses", &self.components.responses)?;
        let types: Vec<_> = response.content.keys().map(String::as_str).collect();
        Ok(Some(if types.is_empty() {
            "application/json".to_owned()
        } else {
            types.join(", ")
        }))
    }

    fn content_types(&self, source: &openapiv3::Operation) -> Result<Vec<String>> {
        let Some(body) = &source.request_body else {
            return Ok(Vec::new());
        };
        let body = resolve(body, "requestBodies", &self.components.request_bodies)?;
        Ok(body.content.keys().cloned().collect())
    }

    fn parameter(&self, source: &ReferenceOr<openapiv3::Parameter>) -> Result<Parameter> {
        let source = resolve(source, "parameters", &self.components.parameters)?;
        let data = source.parameter_data_ref();
        let location = match source {
            openapiv3::Parameter::Path { .. } => Location::Path,
            openapiv3::Parameter::Query { .. } => Location::Query,
            _ => bail!(
                "parameter `{}` is neither in the path nor in the query",
                data.name
            ),
        };
        self.parameter_in(location, data)
            .with_context(|| format!("parameter `{}`", data.name))
    }

    fn parameter_in(&self, location: Location, data: &ParameterData) -> Result<Parameter> {
        let extensions = Extensions::new(
            &data.extensions,
            &["x-field", "x-violation", "x-repeated", "x-always-sent"],
        )?;
        let ParameterSchemaOrContent::Schema(schema) = &data.format else {
            bail!("no schema")
        };
        let (kind, list) = self.parameter_kind(&data.name, schema)?;
        let violation: Option<ViolationExtension> = extensions.optional("x-violation")?;
        match (&violation, kind.can_be_violated()) {
            (None, true) => bail!("extension `x-violation` is missing"),
            (Some(_), false) => bail!("`x-violation`, but every value is fine"),
            _ => {}
        }
        let repeated: Option<Repeated> = extensions.optional("x-repeated")?;
        match (location, list, &repeated) {
            (Location::Query, false, None) => bail!("extension `x-repeated` is missing"),
            (Location::Path, _, Some(_)) | (_, true, Some(_)) => {
                bail!("`x-repeated` is for scalar query parameters")
            }
            _ => {}
        }
        let refuse_repeated = matches!(repeated, Some(Repeated::Refuse));
        ensure!(
            !refuse_repeated || violation.is_some(),
            "`x-repeated: refuse` needs `x-violation`"
        );
        let always_sent = extensions.optional("x-always-sent")?.unwrap_or(false);
        let has_default = matches!(
            kind,
            Kind::Number {
                default: Some(_),
                ..
            }
        );
        ensure!(
            !always_sent || has_default,
            "`x-always-sent` is for numbers with a default"
        );
        Ok(Parameter {
            wire: data.name.clone(),
            field: extensions.required("x-field")?,
            description: data.description.clone().context("no description")?,
            location,
            required: data.required,
            kind,
            list,
            refuse_repeated,
            always_sent,
            violation: violation.map(|v| Violation {
                target: v.target,
                message: v.message,
            }),
        })
    }

    /// What the values are, and whether there may be many.
    fn parameter_kind(&self, wire: &str, schema: &ReferenceOr<Schema>) -> Result<(Kind, bool)> {
        if let ReferenceOr::Item(item) = schema
            && let SchemaKind::Type(Type::Array(array)) = &item.schema_kind
        {
            let items = array
                .items
                .as_ref()
                .context("an array without items")?
                .clone()
                .unbox();
            return Ok((self.kind(wire, &items)?, true));
        }
        Ok((self.kind(wire, schema)?, false))
    }

    fn kind(&self, wire: &str, reference: &ReferenceOr<Schema>) -> Result<Kind> {
        let schema = resolve(reference, "schemas", &self.components.schemas)?;
        let data = &schema.schema_data;
        let extensions = Extensions::new(&data.extensions, &["x-parsed-as", "x-invalid"])?;
        let invalid: Option<String> = extensions.optional("x-invalid")?;
        let invalid = || invalid.clone().context("extension `x-invalid` is missing");
        match &schema.schema_kind {
            SchemaKind::Type(Type::String(text)) => {
                if let Some(rust_type) = extensions.optional("x-parsed-as")? {
                    let valid = enumeration(text)
                        .into_iter()
                        .next()
                        .unwrap_or_else(|| "a".into());
                    return Ok(Kind::Parsed {
                        rust_type,
                        valid,
                        invalid: invalid()?,
                    });
                }
                ensure!(text.pattern.is_none(), "a pattern needs `x-parsed-as`");
                let values = enumeration(text);
                if wire == "api-version" {
                    return Ok(Kind::Version {
                        invalid: invalid()?,
                    });
                }
                if values.is_empty() {
                    let length = text.min_length.zip(text.max_length);
                    return Ok(Kind::Text { length });
                }
                let default = data.default.as_ref().and_then(|value| value.as_str());
                Ok(Kind::Choice(Choice {
                    name: referenced(reference, "schemas")
                        .context("inline enumeration")?
                        .into(),
                    description: data.description.clone().context("no description")?,
                    values,
                    default: default.context("an enumeration without a default")?.into(),
                    invalid: invalid()?,
                }))
            }
            SchemaKind::Type(Type::Integer(number)) => number_kind(number, data.default.as_ref()),
            _ => bail!("only strings, integers and arrays of them are supported"),
        }
    }

    fn versions(&self) -> Result<Vec<String>> {
        let schema = ReferenceOr::ref_("#/components/schemas/ApiVersion");
        let schema = resolve(&schema, "schemas", &self.components.schemas)?;
        let SchemaKind::Type(Type::String(text)) = &schema.schema_kind else {
            bail!("schema `ApiVersion` is not a string")
        };
        Ok(enumeration(text))
    }
}

fn enumeration(text: &StringType) -> Vec<String> {
    text.enumeration.iter().flatten().cloned().collect()
}

fn number_kind(number: &IntegerType, default: Option<&serde_json::Value>) -> Result<Kind> {
    let bound = |bound: Option<i64>| {
        let bound = bound.context("an integer needs minimum and maximum")?;
        u32::try_from(bound).context("bounds must fit u32")
    };
    let default = match default {
        Some(value) => Some(
            value
                .as_u64()
                .context("default is not a number")?
                .try_into()?,
        ),
        None => None,
    };
    Ok(Kind::Number {
        min: bound(number.minimum)?,
        max: bound(number.maximum)?,
        default,
    })
}

/// The success status, and all statuses.
fn statuses(source: &openapiv3::Operation) -> Result<(u16, Vec<u16>)> {
    let mut all = Vec::new();
    for status in source.responses.responses.keys() {
        match status {
            StatusCode::Code(code) => all.push(*code),
            StatusCode::Range(range) => bail!("status range {range}XX: name the statuses"),
        }
    }
    let mut successes = all.iter().filter(|status| (200..300).contains(*status));
    match (successes.next(), successes.next()) {
        (Some(&success), None) => Ok((success, all)),
        _ => bail!("there must be exactly one success status"),
    }
}

/// Splits a template, and checks that its captures are the path parameters.
fn path(template: &str, parameters: &[Parameter]) -> Result<Vec<Segment>> {
    let rest = template
        .strip_prefix('/')
        .context("a path begins with a slash")?;
    let segments: Vec<_> = rest
        .split('/')
        .map(|segment| {
            match segment
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'))
            {
                Some(name) => Segment::Capture(name.to_owned()),
                None => Segment::Literal(segment.to_owned()),
            }
        })
        .collect();
    let mut captured: Vec<_> = segments
        .iter()
        .filter_map(|segment| match segment {
            Segment::Capture(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
        .collect();
    let mut described: Vec<_> = parameters
        .iter()
        .filter(|parameter| parameter.location == Location::Path)
        .map(|parameter| parameter.wire.as_str())
        .collect();
    captured.sort_unstable();
    described.sort_unstable();
    ensure!(
        captured == described,
        "path has {captured:?}, parameters are {described:?}"
    );
    Ok(segments)
}

/// The last part of a reference to a component of this kind.
fn referenced<'a, T>(item: &'a ReferenceOr<T>, kind: &str) -> Option<&'a str> {
    match item {
        ReferenceOr::Reference { reference } => reference
            .strip_prefix("#/components/")?
            .strip_prefix(kind)?
            .strip_prefix('/'),
        ReferenceOr::Item(_) => None,
    }
}

/// The item itself, or the component that it refers to.
fn resolve<'a, T, M>(item: &'a ReferenceOr<T>, kind: &str, components: &'a M) -> Result<&'a T>
where
    &'a M: IntoIterator<Item = (&'a String, &'a ReferenceOr<T>)>,
{
    let ReferenceOr::Reference { reference } = item else {
        return item.as_item().context("neither item nor reference");
    };
    let name = referenced(item, kind)
        .with_context(|| format!("`{reference}` is not in #/components/{kind}"))?;
    components
        .into_iter()
        .find(|(found, _)| *found == name)
        .and_then(|(_, component)| component.as_item())
        .with_context(|| format!("`{reference}` does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> String {
        std::fs::read_to_string(crate::codegen::workspace_root().join("spec/rest.yaml")).unwrap()
    }

    /// The error for the description with one text replaced everywhere.
    fn error(find: &str, replace: &str) -> String {
        let spec = spec();
        assert!(spec.contains(find), "{find}");
        format!("{:#}", read(&spec.replace(find, replace)).unwrap_err())
    }

    #[test]
    fn reads_the_description() {
        let api = read(&spec()).unwrap();
        assert_eq!(api.version, "2024-12-01");
        assert_eq!(api.versions.len(), 5);
        assert_eq!(api.operations.len(), 25);
        let send = api
            .operations
            .iter()
            .find(|o| o.id == "WebPubSub_SendToGroup")
            .unwrap();
        assert_eq!(
            (send.success, send.no, send.method),
            (202, None, Method::Post)
        );
        let order: Vec<_> = send.parameters.iter().map(|p| p.wire.as_str()).collect();
        assert_eq!(
            order,
            [
                "api-version",
                "hub",
                "group",
                "excluded",
                "filter",
                "messageTtlSeconds"
            ]
        );
        let check = api
            .operations
            .iter()
            .find(|o| o.id == "WebPubSub_CheckPermission")
            .unwrap();
        assert_eq!(
            (check.success, check.no, &check.accept),
            (200, Some(404), &None)
        );
    }

    #[test]
    fn errors_name_the_operation_and_the_cause() {
        for (find, replace, expected) in [
            (
                "x-names: { javascript: sendToAll,",
                "x-nmaes: { javascript: sendToAll,",
                &["WebPubSub_SendToAll", "unknown extension `x-nmaes`"][..],
            ),
            (
                "      x-names: { javascript: sendToAll, python: send_to_all }\n",
                "",
                &["WebPubSub_SendToAll", "extension `x-names` is missing"],
            ),
            (
                "x-field: reason\n      x-repeated: first",
                "x-field: reason",
                &[
                    "WebPubSub_CloseAllConnections",
                    "parameter `reason`",
                    "extension `x-repeated` is missing",
                ],
            ),
            (
                "      x-field: top\n",
                "",
                &["WebPubSub_ListConnectionsInGroup", "`x-field` is missing"],
            ),
            (
                "x-violation: { target: top,",
                "x-violation: { tagret: top,",
                &[
                    "WebPubSub_ListConnectionsInGroup",
                    "parameter `top`",
                    "tagret",
                ],
            ),
            (
                "      x-invalid: carrier-pigeon\n",
                "",
                &["WebPubSub_GenerateClientToken", "x-invalid"],
            ),
            (
                "/users/{userId}/:send:",
                "/users/{user}/:send:",
                &["WebPubSub_SendToUser", "userId"],
            ),
            (
                "x-field: top\n",
                "x-field: top\n      x-always-sent: true\n",
                &["parameter `top`", "numbers with a default"],
            ),
            (
                "x-status-no: 404",
                "x-status-no: 410",
                &["WebPubSub_", "410"],
            ),
            (
                "parameters/Reason'",
                "parameters/Raeson'",
                &["WebPubSub_CloseAllConnections", "Raeson"],
            ),
        ] {
            let error = error(find, replace);
            for part in expected {
                assert!(error.contains(part), "{find} -> {replace}: {error}");
            }
        }
    }
}
