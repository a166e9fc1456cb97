//! From text to syntax tree, by recursive descent with one token of lookahead: time grows with the
//! length of the text, and recursion is bounded before it happens.
//!
//! ```text
//! filter     := or
//! or         := and { "or" and }
//! and        := comparison { "and" comparison }
//! comparison := unary { ("eq"|"ne"|"gt"|"ge"|"lt"|"le") unary | "in" (list | primary) }
//! list       := "(" [ or ] { "," [ or ] } ")"
//! unary      := "not" unary | primary
//! primary    := "(" or ")" | literal | name | name "(" [ or { "," or } ] ")"
//! ```

use super::error::FilterError;
use super::lexer::{Token, TokenKind, next_token, unquote, utf16_position};
use super::syntax::{
    Collection, Comparison, Connective, Expr, Field, FieldKind, Function, Literal,
};
use crate::limits;

/// Parses a whole filter.
pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    let mut parser = Parser {
        text,
        token: next_token(text, 0)?,
        nesting: 0,
    };
    let node = parser.nested(Parser::or)?;
    match parser.token.kind {
        TokenKind::End => Ok(node.expr),
        _ => Err(parser.syntax_error()),
    }
}

/// An expression and the height of its tree.
struct Node {
    expr: Expr,
    height: usize,
}

type Parsed = Result<Node, FilterError>;

struct Parser<'t> {
    text: &'t str,
    token: Token<'t>,
    /// Parentheses, lists, calls and `not`s around the token.
    nesting: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Parsed {
        self.chain(Connective::Or, Self::and)
    }

    fn and(&mut self) -> Parsed {
        self.chain(Connective::And, Self::comparison)
    }

    fn chain(&mut self, operator: Connective, operand: fn(&mut Self) -> Parsed) -> Parsed {
        let first = operand(self)?;
        if !self.token.is_word(operator.word()) {
            return Ok(first);
        }
        let (mut operands, mut height) = match first.expr {
            Expr::Chain {
                operator: inner,
                operands,
            } if inner == operator => (operands, first.height),
            expr => (vec![expr], first.height + 1),
        };
        while self.token.is_word(operator.word()) {
            self.advance()?;
            let next = operand(self)?;
            height = height.max(next.height + 1);
            operands.push(next.expr);
        }
        self.node(Expr::Chain { operator, operands }, height)
    }

    fn comparison(&mut self) -> Parsed {
        let mut left = self.unary()?;
        while self.token.kind == TokenKind::Word {
            let word = self.token.text;
            left = if let Some(operator) = Comparison::named(word) {
                self.advance()?;
                let right = self.unary()?;
                let height = left.height.max(right.height) + 1;
                let (left, right) = (Box::new(left.expr), Box::new(right.expr));
                self.node(
                    Expr::Compare {
                        operator,
                        left,
                        right,
                    },
                    height,
                )?
            } else if word == "in" {
                self.advance()?;
                let (collection, height) = self.collection()?;
                let height = left.height.max(height) + 1;
                self.node(
                    Expr::In {
                        item: Box::new(left.expr),
                        collection,
                    },
                    height,
                )?
            } else if matches!(word, "add" | "sub" | "mul" | "div" | "mod" | "has") {
                return Err(self.unsupported());
            } else {
                break;
            }
        }
        Ok(left)
    }

    /// The right side of `in`, and its height.
    fn collection(&mut self) -> Result<(Collection, usize), FilterError> {
        if self.token.kind != TokenKind::Open {
            let value = self.primary()?;
            return Ok((Collection::Value(Box::new(value.expr)), value.height));
        }
        let start = self.token.start;
        self.advance()?;
        let mut items = Vec::new();
        let mut height = 0;
        let end = loop {
            match self.token.kind {
                TokenKind::Close => break self.token.end(),
                TokenKind::Comma => self.advance()?,
                _ => {
                    let item = self.nested(Self::or)?;
                    height = height.max(item.height);
                    items.push(item.expr);
                    if !matches!(self.token.kind, TokenKind::Comma | TokenKind::Close) {
                        return Err(self.expected("')' or ',' expected"));
                    }
                }
            }
        };
        self.advance()?;
        let text = self.text[start..end].into();
        Ok(match items.pop() {
            // `( groups )` is the collection in parentheses, not a list with one collection in it.
            Some(
                only @ Expr::Field(Field {
                    kind: FieldKind::Groups,
                    ..
                }),
            ) if items.is_empty() => (Collection::Value(Box::new(only)), height),
            last => {
                items.extend(last);
                (Collection::List { items, text }, height)
            }
        })
    }

    fn unary(&mut self) -> Parsed {
        if !self.token.is_word("not") {
            return self.primary();
        }
        self.advance()?;
        let operand = self.nested(Self::unary)?;
        self.node(Expr::Not(Box::new(operand.expr)), operand.height + 1)
    }

    fn primary(&mut self) -> Parsed {
        let token = self.token;
        let expr = match token.kind {
            TokenKind::Open => {
                self.advance()?;
                let inner = self.nested(Self::or)?;
                if self.token.kind != TokenKind::Close {
                    return Err(self.expected("')' or operator expected"));
                }
                self.advance()?;
                return Ok(inner);
            }
            TokenKind::Word => return self.word(),
            TokenKind::Text => Expr::Literal(Literal::Text(unquote(token.text).into())),
            TokenKind::Int(value) => Expr::Literal(Literal::Int(value)),
            TokenKind::Unsupported => Expr::Literal(Literal::Unsupported(token.text.into())),
            TokenKind::Close | TokenKind::Comma | TokenKind::Sign | TokenKind::End => {
                return Err(self.expected("Expression expected"));
            }
        };
        self.advance()?;
        Ok(Node { expr, height: 1 })
    }

    /// A literal, name or call.
    fn word(&mut self) -> Parsed {
        let name = self.token.text;
        self.advance()?;
        if self.token.kind == TokenKind::Open {
            return self.call(name);
        }
        if self.token.kind == TokenKind::Sign && self.token.text == "/" {
            return Err(self.unsupported());
        }
        let expr = match name {
            "null" => Expr::Literal(Literal::Null),
            "true" => Expr::Literal(Literal::Bool(true)),
            "false" => Expr::Literal(Literal::Bool(false)),
            _ => match FieldKind::named(name) {
                Some(kind) => Expr::Field(Field {
                    kind,
                    spelling: name.into(),
                }),
                None => Expr::Unknown(name.into()),
            },
        };
        Ok(Node { expr, height: 1 })
    }

    fn call(&mut self, name: &str) -> Parsed {
        self.advance()?;
        let mut arguments = Vec::new();
        let mut height = 0;
        if self.token.kind != TokenKind::Close {
            loop {
                let argument = self.nested(Self::or)?;
                height = height.max(argument.height);
                arguments.push(argument.expr);
                match self.token.kind {
                    TokenKind::Comma => self.advance()?,
                    TokenKind::Close => break,
                    _ => return Err(self.expected("')' or ',' expected")),
                }
            }
        }
        self.advance()?;
        self.node(
            Expr::Call {
                function: Function::named(name),
                arguments,
            },
            height + 1,
        )
    }

    fn advance(&mut self) -> Result<(), FilterError> {
        self.token = next_token(self.text, self.token.end())?;
        Ok(())
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Parsed) -> Parsed {
        if self.nesting >= limits::FILTER_DEPTH {
            return Err(self.too_deep());
        }
        self.nesting += 1;
        let node = parse(self);
        self.nesting -= 1;
        node
    }

    fn node(&self, expr: Expr, height: usize) -> Parsed {
        if height > limits::FILTER_DEPTH {
            return Err(self.too_deep());
        }
        Ok(Node { expr, height })
    }

    fn too_deep(&self) -> FilterError {
        let detail = "Recursion depth exceeded allowed limit.";
        FilterError::at(self.text, self.token.start, detail)
    }

    /// The current token is no continuation; the service names the position after it.
    fn syntax_error(&self) -> FilterError {
        let (text, end) = (self.text, self.token.end());
        let position = utf16_position(text, end);
        let detail = format!("Syntax error at position {position} in '{text}'.");
        FilterError::at(text, self.token.start, detail)
    }

    /// Something else should stand where the current token starts.
    fn expected(&self, what: &str) -> FilterError {
        let (text, start) = (self.text, self.token.start);
        let position = utf16_position(text, start);
        FilterError::at(
            text,
            start,
            format!("{what} at position {position} in '{text}'."),
        )
    }

    /// The current token is OData, but not of filters.
    fn unsupported(&self) -> FilterError {
        let detail = format!("Token '{}' is not supported.", self.token.text);
        FilterError::at(self.text, self.token.start, detail)
    }
}
