//! TOML to entries. The parser's own error display would quote the line, which may hold a key.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Entry, SyntaxError, Value, line_at};

pub(super) fn parse(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    let table = DeTable::parse(text).map_err(|error| SyntaxError {
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut entries = Vec::new();
    add_table(text, &mut Vec::new(), table.get_ref(), &mut entries);
    // Tables come in the order of their names; errors come in the order of the file.
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn add_table(text: &str, path: &mut Vec<String>, table: &DeTable<'_>, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        path.push(name.get_ref().to_string());
        add(text, path, value, entries);
        path.pop();
    }
}

fn add(text: &str, path: &mut Vec<String>, value: &Spanned<DeValue<'_>>, entries: &mut Vec<Entry>) {
    let leaf = match value.get_ref() {
        DeValue::Table(table) if !table.is_empty() => {
            return add_table(text, path, table, entries);
        }
        DeValue::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                add(text, path, item, entries);
                path.pop();
            }
            return;
        }
        DeValue::Table(_) | DeValue::Array(_) => Value::Empty,
        DeValue::String(value) => Value::Text(value.to_string()),
        DeValue::Integer(value) => Value::Text(value.to_string()),
        DeValue::Float(value) => Value::Text(value.to_string()),
        DeValue::Boolean(value) => Value::Text(value.to_string()),
        DeValue::Datetime(value) => Value::Text(value.to_string()),
    };
    entries.push(Entry {
        path: path.clone(),
        line: line_at(text, value.span().start),
        value: leaf,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_toml_is_named_by_line_and_never_quoted() {
        for text in [
            "a = 1\nb = sEcReT",
            "a = 1\nsEcReT",
            "a = 1\nb = \"sEcReT",
            "a = 1\nb = 'sEcReT' sEcReT",
            "a = 1\nb = \"\\qsEcReT\"",
            "a = 1\n[sEcReT",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, 2, "{text}: {error:?}");
            assert!(!error.message.contains("sEcReT"), "{error:?}");
        }
    }
}
