//! An OpenAPI document, and the records in its components.

use super::json::Json;
use super::shape::{Shape, words_of};
use crate::Outcome;

/// An OpenAPI document.
pub(super) struct Document {
    json: Json,
}

/// A record: an object whose members are known.
pub(super) struct Record {
    /// The description of the record.
    pub(super) says: String,
    /// The members in the order of their declaration, including those of the schemas that the record is made of.
    pub(super) members: Vec<Member>,
}

/// A member of a record.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Whether the member is always there.
    pub(super) required: bool,
    pub(super) says: String,
}

impl Document {
    /// Parses the file with that name.
    pub(super) fn parse(name: &str, text: &str) -> Outcome<Self> {
        serde_json::from_str(text).map(|json| Self { json }).map_err(|error| format!("docs/{name}: {error}"))
    }

    /// This document with the schemas of another one.
    pub(super) fn with(mut self, other: &Self) -> Self {
        let schemas = self.json.get_mut("components").and_then(|components| components.get_mut("schemas"));
        if let Some(Json::Object(own)) = schemas {
            own.extend(other.schemas().map(|(name, schema)| (name.to_owned(), schema.clone())));
        }
        self
    }

    /// The root of the document.
    pub(super) fn root(&self) -> &Json {
        &self.json
    }

    /// The schemas of the document by name.
    pub(super) fn schemas(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.json.get("components").get("schemas").members()
    }

    /// The schema with that name.
    pub(super) fn schema(&self, name: &str) -> Outcome<&Json> {
        self.schemas()
            .find(|(key, _)| *key == name)
            .map(|(_, schema)| schema)
            .ok_or_else(|| format!("no schema {name}"))
    }

    /// Follows a reference of the document.
    pub(super) fn resolve<'a>(&'a self, value: &'a Json) -> &'a Json {
        let reference = value.get("$ref").text();
        if reference.is_empty() {
            return value;
        }
        reference.trim_start_matches("#/").split('/').fold(&self.json, |at, name| at.get(name))
    }

    /// The record that a schema describes, with the members of all schemas that it is made of.
    pub(super) fn record(&self, schema: &Json) -> Record {
        // An example in Rust is for readers of Rust.
        let says = schema.get("description").text().split("```").next().unwrap_or_default().trim();
        let mut record = Record { says: says.to_owned(), members: Vec::new() };
        self.collect(schema, &mut record.members);
        record
    }

    /// The description of a schema or of a reference in it, else of the record that it refers to.
    pub(super) fn says<'a>(&'a self, schema: &'a Json) -> &'a str {
        let parts = || std::iter::once(schema).chain(schema.get("oneOf").items());
        let own = parts().map(|part| part.get("description").text());
        own.chain(parts().map(|part| self.resolve(part).get("description").text()))
            .find(|says| !says.is_empty())
            .unwrap_or_default()
    }

    /// The shape that a schema of the document describes.
    pub(super) fn shape(&self, schema: &Json) -> Shape {
        let reference = schema.get("$ref").text();
        if !reference.is_empty() {
            let target = self.resolve(schema);
            let is_record = target.get("properties").is_given() || target.get("allOf").is_given();
            return if is_record { Shape::Record(name_of(reference).to_owned()) } else { self.shape(target) };
        }
        for key in ["oneOf", "anyOf"] {
            let choices = schema.get(key).items();
            if !choices.is_empty() {
                return Shape::one_of(choices.iter().map(|choice| self.shape(choice)));
            }
        }
        let words = schema.get("enum").items();
        if !words.is_empty() {
            return Shape::Words(words.iter().map(|word| word.text().to_owned()).collect());
        }
        match schema.get("type") {
            Json::Text(word) => self.shape_of_type(schema, word),
            Json::List(kinds) => Shape::one_of(kinds.iter().map(|kind| self.shape_of_type(schema, kind.text()))),
            _ => Shape::Any,
        }
    }

    fn shape_of_type(&self, schema: &Json, word: &str) -> Shape {
        match word {
            "null" => Shape::Null,
            "boolean" => Shape::Flag,
            "integer" => Shape::Whole,
            "number" => Shape::Number,
            "string" => words_of(schema.get("pattern").text()).map_or(Shape::Text, Shape::Words),
            "array" => Shape::List(Box::new(self.shape(schema.get("items")))),
            "object" if schema.get("additionalProperties").is_given() => {
                Shape::Map(Box::new(self.shape(schema.get("additionalProperties"))))
            }
            "object" => Shape::Object,
            _ => Shape::Any,
        }
    }

    fn collect(&self, schema: &Json, members: &mut Vec<Member>) {
        for part in schema.get("allOf").items() {
            self.collect(self.resolve(part), members);
        }
        let required = schema.get("required").items();
        for (name, member) in schema.get("properties").members() {
            members.push(Member {
                name: name.to_owned(),
                shape: self.shape(member),
                required: required.iter().any(|item| item.text() == name),
                says: self.says(member).to_owned(),
            });
        }
    }
}

/// The name at the end of a reference.
pub(super) fn name_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}
