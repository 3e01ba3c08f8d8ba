//! One page for each kind: every field with its type, its bounds and what it means.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

use super::cell;

/// The page of a definition.
pub fn page(crd: &Value) -> anyhow::Result<String> {
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let names = &crd["spec"]["names"];
    let (group, name) = (text(&crd["spec"]["group"]), text(&version["name"]));
    let mut page = format!(
        "{}\n\n`apiVersion: {group}/{name}`, `kind: {}`, {}; `kubectl get {}`{}. `kubectl explain {}` says the same on the command line.\n",
        text(&schema["description"]),
        text(&names["kind"]),
        text(&crd["spec"]["scope"]).to_lowercase(),
        text(&names["plural"]),
        short(names),
        text(&names["singular"]),
    );
    for part in ["spec", "status"] {
        let Some(fields) = schema["properties"].get(part) else {
            continue;
        };
        let mut rows = String::new();
        walk(part, fields, &mut rows)?;
        write!(
            page,
            "\n## {part}\n\n| field | type | what |\n|---|---|---|\n{rows}"
        )?;
    }
    Ok(page)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn short(names: &Value) -> String {
    let words: Vec<&str> = names["shortNames"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    if words.is_empty() {
        String::new()
    } else {
        format!(", or `{}`", words.join("`, `"))
    }
}

/// A row for each field below, the fields of a field after it.
fn walk(path: &str, schema: &Value, rows: &mut String) -> anyhow::Result<()> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    let Some(fields) = schema["properties"].as_object() else {
        return Ok(());
    };
    for (name, field) in fields {
        let path = format!("{path}.{name}");
        let needed = if required.contains(&name.as_str()) {
            ", required"
        } else {
            ""
        };
        let what = cell(&[text(&field["description"]), &rules(field)].join(" "));
        writeln!(rows, "| `{path}` | {}{needed} | {what} |", kind(field))?;
        match (field.get("items"), field.get("additionalProperties")) {
            (Some(items), _) => walk(&format!("{path}[]"), items, rows)?,
            (_, Some(values)) => walk(&format!("{path}.*"), values, rows)?,
            _ => walk(&path, field, rows)?,
        }
    }
    Ok(())
}

/// The type in a word or two, with the words that may stand there, or the numbers.
fn kind(field: &Value) -> String {
    let of = |schema: &Value| kind(schema);
    let mut said = match text(&field["type"]) {
        "array" => format!("list of {}", of(&field["items"])),
        "object" if field.get("additionalProperties").is_some() => {
            format!("map of {}", of(&field["additionalProperties"]))
        }
        "" if field["x-kubernetes-int-or-string"] == true => "quantity".to_owned(),
        "" => "any".to_owned(),
        "string" if field["format"] == "date-time" => "time".to_owned(),
        other => other.to_owned(),
    };
    if let Some(words) = field["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .filter(|word| !word.is_null())
            .map(|word| format!("`{}`", word.as_str().unwrap_or_default()))
            .collect();
        said = words.join(", ");
    }
    if let Some(value) = field.get("default") {
        said = format!("{said}, default `{}`", cell(&value.to_string()));
    }
    if let (Some(least), Some(most)) = (field["minimum"].as_f64(), field["maximum"].as_f64()) {
        said = format!("{said}, {least} to {most}");
    }
    said
}

/// What the API server demands besides.
fn rules(field: &Value) -> String {
    let own = field["x-kubernetes-validations"].as_array();
    let said: Vec<&str> = own
        .into_iter()
        .flatten()
        .filter_map(|rule| rule["message"].as_str())
        .collect();
    said.join(". ")
}

#[test]
fn a_list_of_objects_has_its_fields_with_brackets() -> anyhow::Result<()> {
    let schema = serde_json::json!({"properties": {"people": {"type": "array", "description": "Who | may.", "items": {
        "type": "object", "required": ["name"], "properties": {"name": {"type": "string", "enum": ["a", "b"], "default": "a"}}}}}});
    let mut rows = String::new();
    walk("spec", &schema, &mut rows)?;
    let second = rows.lines().nth(1).context("one row")?;
    assert_eq!(
        rows.lines().next(),
        Some("| `spec.people` | list of object | Who \\| may. |")
    );
    assert_eq!(
        second,
        "| `spec.people[].name` | `a`, `b`, default `\"a\"`, required |  |"
    );
    Ok(())
}
