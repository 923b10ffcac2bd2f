//! Leaving a loop from within, said by flags: what a loop that a tensor decides has in the place of `break` and `continue`.

use proc_macro2::{Ident, Span};
use quote::format_ident;
use syn::{
    Block, Expr, ExprClosure, ExprForLoop, ExprIf, ExprLoop, ExprWhile, Item, Label, Lifetime, Stmt, parse_quote,
    visit_mut::VisitMut,
};

/// The body of a loop with flags.
pub struct Flagged {
    pub body: Block,
    /// The flag that says that the loop is left, if it can be.
    pub left: Option<Ident>,
}

/// What the names of flags begin with: `if flag { .. }` then stands for what is done where the flag is not set.
pub const FLAG: &str = "__modulor_flag";

pub fn flagged(body: &Block, label: Option<&Label>, depth: usize, is_for: bool) -> Flagged {
    let name = |what: &str| Ident::new(&format!("{FLAG}_{what}_{depth}"), Span::mixed_site());
    let label = label.map(|label| label.name.clone());
    let mut lowering = Lowering { left: name("left"), skip: name("skip"), label, breaks: false, skips: false };
    let stmts = lowering.stmts(body.stmts.clone());
    let Lowering { left, skip, breaks, skips, .. } = lowering;
    let mut body = Block { stmts, ..body.clone() };
    if breaks && is_for {
        // What comes after the row that ends the loop is gone through and not looked at.
        body = parse_quote!({ if #left #body });
    }
    if skips {
        body.stmts.insert(0, parse_quote!(let mut #skip = __m::flag(false);));
    }
    Flagged { body, left: breaks.then_some(left) }
}

struct Lowering {
    left: Ident,
    skip: Ident,
    label: Option<Lifetime>,
    breaks: bool,
    skips: bool,
}

impl Lowering {
    fn stmts(&mut self, stmts: Vec<Stmt>) -> Vec<Stmt> {
        let mut lowered = Vec::new();
        let mut rest = stmts.into_iter();
        while let Some(stmt) = rest.next() {
            if !self.leaves(&stmt) {
                lowered.push(stmt);
                continue;
            }
            let (left, skip) = (self.left.clone(), self.skip.clone());
            match stmt {
                Stmt::Expr(Expr::Break(leave), _) if leave.expr.is_none() => {
                    (self.breaks, self.skips) = (true, true);
                    lowered.push(parse_quote!(#left = __m::flag(true);));
                    lowered.push(parse_quote!(#skip = __m::flag(true);));
                    return lowered;
                }
                Stmt::Expr(Expr::Continue(_), _) => {
                    self.skips = true;
                    lowered.push(parse_quote!(#skip = __m::flag(true);));
                    return lowered;
                }
                Stmt::Expr(Expr::If(branch), _) => lowered.push(Stmt::Expr(Expr::If(self.branch(branch)), None)),
                Stmt::Expr(Expr::Block(mut block), semi) if block.label.is_none() => {
                    block.block.stmts = self.stmts(block.block.stmts);
                    lowered.push(Stmt::Expr(Expr::Block(block), semi));
                }
                // In other places it stays, and is refused where a tensor decides.
                other => {
                    lowered.push(other);
                    continue;
                }
            }
            let rest = self.stmts(rest.collect());
            if !rest.is_empty() {
                lowered.push(parse_quote!(if #skip { #(#rest)* }));
            }
            return lowered;
        }
        lowered
    }

    fn branch(&mut self, mut branch: ExprIf) -> ExprIf {
        branch.then_branch.stmts = self.stmts(branch.then_branch.stmts);
        if let Some((_, otherwise)) = &mut branch.else_branch {
            let stmts = match std::mem::replace(&mut **otherwise, parse_quote!({})) {
                Expr::Block(block) => self.stmts(block.block.stmts),
                other => self.stmts(vec![Stmt::Expr(other, None)]),
            };
            **otherwise = parse_quote!({ #(#stmts)* });
        }
        branch
    }

    /// Whether a statement leaves this loop, or what is done in it this time.
    fn leaves(&self, stmt: &Stmt) -> bool {
        let mut exits = Exits { label: self.label.as_ref(), found: false };
        exits.visit_stmt_mut(&mut stmt.clone());
        exits.found
    }
}

struct Exits<'a> {
    label: Option<&'a Lifetime>,
    found: bool,
}

impl Exits<'_> {
    fn note(&mut self, label: Option<&Lifetime>) {
        self.found |= label.is_none_or(|label| self.label == Some(label));
    }
}

impl VisitMut for Exits<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Break(leave) => self.note(leave.label.as_ref()),
            Expr::Continue(leave) => self.note(leave.label.as_ref()),
            _ => syn::visit_mut::visit_expr_mut(self, expr),
        }
    }

    // What is in these is of another loop.
    fn visit_expr_while_mut(&mut self, _: &mut ExprWhile) {}
    fn visit_expr_for_loop_mut(&mut self, _: &mut ExprForLoop) {}
    fn visit_expr_loop_mut(&mut self, _: &mut ExprLoop) {}
    fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// Whether a function may be left from within this.
pub fn returns(branch: &ExprIf) -> bool {
    #[derive(Default)]
    struct Returns(bool);
    impl VisitMut for Returns {
        fn visit_expr_return_mut(&mut self, _: &mut syn::ExprReturn) {
            self.0 = true;
        }

        fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
        fn visit_item_mut(&mut self, _: &mut Item) {}
    }
    let mut found = Returns::default();
    found.visit_expr_if_mut(&mut branch.clone());
    found.0
}

/// Whether nothing comes after these statements.
pub fn ends(stmts: &[Stmt]) -> bool {
    matches!(stmts.last(), Some(Stmt::Expr(Expr::Return(_), _)))
}

/// The name of a value between generated lines.
pub fn numbered(number: usize) -> Ident {
    format_ident!("__modulor_{}", number, span = Span::mixed_site())
}
