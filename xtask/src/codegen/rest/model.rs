//! What the generators need to know of the API, checked and without references.

/// The whole API.
#[derive(Debug)]
pub(crate) struct Api {
    /// The version that clients ask for.
    pub(crate) version: String,
    /// All versions that a server accepts, oldest first.
    pub(crate) versions: Vec<String>,
    /// In the order of the description.
    pub(crate) operations: Vec<Operation>,
}

#[derive(Debug)]
pub(crate) struct Operation {
    /// As the service calls it, `WebPubSub_SendToAll`.
    pub(crate) id: String,
    /// As we call it, `SendToAll`.
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) method: Method,
    /// `/api/hubs/{hub}/:send`.
    pub(crate) template: String,
    pub(crate) path: Vec<Segment>,
    /// In the order in which a client writes them; those in the path are among them.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) success: u16,
    /// The status that answers an existence check with "no".
    pub(crate) no: Option<u16>,
    /// All statuses that the description names.
    pub(crate) statuses: Vec<u16>,
    /// The `Accept` header of a request.
    pub(crate) accept: Option<String>,
    /// What the body may be; empty when there is none.
    pub(crate) content_types: Vec<String>,
    pub(crate) authenticated: bool,
    pub(crate) javascript: Option<String>,
    pub(crate) python: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Delete,
    Get,
    Head,
    Post,
    Put,
}

impl Method {
    /// As it is sent.
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    /// The wire name of the parameter that stands here.
    Capture(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) wire: String,
    pub(crate) field: String,
    pub(crate) description: String,
    pub(crate) location: Location,
    pub(crate) required: bool,
    pub(crate) kind: Kind,
    /// Repeated in the query, once for each value.
    pub(crate) list: bool,
    pub(crate) refuse_repeated: bool,
    /// Clients write the default when the caller gives no value.
    pub(crate) always_sent: bool,
    pub(crate) violation: Option<Violation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    Path,
    Query,
}

/// What a value may be.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// The version of the API.
    Version {
        invalid: String,
    },
    /// Whatever this type's `FromStr` takes.
    Parsed {
        rust_type: String,
        valid: String,
        invalid: String,
    },
    /// Any text, or any of a length.
    Text {
        length: Option<(usize, usize)>,
    },
    Number {
        min: u32,
        max: u32,
        default: Option<u32>,
    },
    Choice(Choice),
}

/// One of a few words, compared without regard to case.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) values: Vec<String>,
    pub(crate) default: String,
    pub(crate) invalid: String,
}

/// The service's error for a value that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) target: String,
    pub(crate) message: String,
}

impl Kind {
    /// Whether there are values that break the rules.
    pub(crate) fn can_be_violated(&self) -> bool {
        !matches!(self, Self::Text { length: None })
    }
}

impl Api {
    /// The parameters of all operations.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.operations
            .iter()
            .flat_map(|operation| &operation.parameters)
    }
}

impl Parameter {
    /// Whether it is the version of the API, which no caller gives.
    pub(crate) fn is_version(&self) -> bool {
        matches!(self.kind, Kind::Version { .. })
    }
}

impl Operation {
    /// The parameters in the path in its order, then those in the query.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Parameter> {
        let in_path = self.path.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => self
                .parameters
                .iter()
                .find(|it| it.location == Location::Path && it.wire == *name),
            Segment::Literal(_) => None,
        });
        let in_query = self
            .parameters
            .iter()
            .filter(|it| it.location == Location::Query);
        in_path.chain(in_query)
    }

    /// All parameters but the version.
    pub(crate) fn given(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|it| !it.is_version())
    }
}
