//! What a piece of code does with the variables around it.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Block, Expr, ExprClosure, ExprForLoop, ExprIf, ExprMatch, ExprWhile, Item, Local, Macro, Pat, PatIdent, Stmt,
    Token, UnOp, parse::Parser, punctuated::Punctuated, visit_mut::VisitMut,
};

/// What is done with one of them.
#[derive(Clone, Copy, Default)]
pub struct Use {
    /// It is assigned, or borrowed so that it may be.
    pub assigned: bool,
    /// A method of it is called, or a macro is given it: what that does with it does not show.
    pub received: bool,
    /// It is used by value.
    pub moved: bool,
}

/// What is done with each of them, in the order in which they are met.
#[derive(Default)]
pub struct Uses {
    found: Vec<(String, Use)>,
    /// What is declared within, up to here.
    inner: Vec<String>,
}

impl Uses {
    pub fn of_block(block: &Block) -> Uses {
        let mut uses = Uses::default();
        uses.visit_block_mut(&mut block.clone());
        uses
    }

    pub fn of_expr(expr: &Expr) -> Uses {
        let mut uses = Uses::default();
        uses.visit_expr_mut(&mut expr.clone());
        uses
    }

    pub fn get(&self, name: &str) -> Option<Use> {
        self.found.iter().find(|(known, _)| known == name).map(|(_, found)| *found)
    }

    /// Whether it is mentioned where the surroundings are meant.
    pub fn mentions(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// With what another piece does.
    pub fn and(mut self, other: Uses) -> Uses {
        for (name, found) in other.found {
            let known = self.entry(&name);
            known.assigned |= found.assigned;
            known.received |= found.received;
            known.moved |= found.moved;
        }
        self
    }

    fn entry(&mut self, name: &str) -> &mut Use {
        let at = self.found.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.found.push((name.to_owned(), Use::default()));
            self.found.len() - 1
        });
        &mut self.found[at].1
    }

    fn note(&mut self, ident: &Ident, note: impl FnOnce(&mut Use)) {
        let name = ident.to_string();
        if !self.inner.contains(&name) {
            note(self.entry(&name));
        }
    }

    /// The variable that a place is in, if it is one; what else is in the place is visited.
    fn place(&mut self, place: &mut Expr, note: impl FnOnce(&mut Use)) {
        match place {
            Expr::Path(path) => {
                if let Some(ident) = path.path.get_ident() {
                    self.note(ident, note);
                }
            }
            Expr::Field(field) => self.place(&mut field.base, note),
            Expr::Index(index) => {
                self.visit_expr_mut(&mut index.index);
                self.place(&mut index.expr, note);
            }
            Expr::Paren(paren) => self.place(&mut paren.expr, note),
            Expr::Group(group) => self.place(&mut group.expr, note),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => self.place(&mut unary.expr, note),
            other => self.visit_expr_mut(other),
        }
    }

    /// The places on the left of an assignment.
    fn assigned(&mut self, left: &mut Expr) {
        match left {
            Expr::Tuple(tuple) => tuple.elems.iter_mut().for_each(|part| self.assigned(part)),
            Expr::Array(array) => array.elems.iter_mut().for_each(|part| self.assigned(part)),
            Expr::Infer(_) => {}
            place => self.place(place, |found| found.assigned = true),
        }
    }

    fn declare(&mut self, pat: &Pat) {
        self.inner.extend(bindings(pat).iter().map(|binding| binding.ident.to_string()));
    }
}

impl VisitMut for Uses {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Path(path) => {
                if let Some(ident) = path.path.get_ident() {
                    self.note(ident, |found| found.moved = true);
                }
            }
            Expr::Assign(assign) => {
                self.visit_expr_mut(&mut assign.right);
                self.assigned(&mut assign.left);
            }
            Expr::Binary(binary) if is_assignment(&binary.op) => {
                self.visit_expr_mut(&mut binary.right);
                self.assigned(&mut binary.left);
            }
            Expr::Reference(reference) => {
                let mutable = reference.mutability.is_some();
                self.place(&mut reference.expr, |found| found.assigned |= mutable);
            }
            Expr::MethodCall(call) => {
                self.place(&mut call.receiver, |found| found.received = true);
                call.args.iter_mut().for_each(|argument| self.visit_expr_mut(argument));
            }
            Expr::Call(call) => {
                self.place(&mut call.func, |_| {});
                call.args.iter_mut().for_each(|argument| self.visit_expr_mut(argument));
            }
            Expr::Field(_) => self.place(expr, |found| found.received = true),
            Expr::Index(_) => self.place(expr, |_| {}),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => self.place(&mut unary.expr, |_| {}),
            Expr::Let(matched) => {
                self.place(&mut matched.expr, |found| found.received = true);
                self.declare(&matched.pat);
            }
            _ => syn::visit_mut::visit_expr_mut(self, expr),
        }
    }

    fn visit_expr_if_mut(&mut self, branch: &mut ExprIf) {
        let mark = self.inner.len();
        self.visit_expr_mut(&mut branch.cond);
        self.visit_block_mut(&mut branch.then_branch);
        self.inner.truncate(mark);
        if let Some((_, otherwise)) = &mut branch.else_branch {
            self.visit_expr_mut(otherwise);
        }
    }

    fn visit_expr_while_mut(&mut self, repeat: &mut ExprWhile) {
        let mark = self.inner.len();
        self.visit_expr_mut(&mut repeat.cond);
        self.visit_block_mut(&mut repeat.body);
        self.inner.truncate(mark);
    }

    fn visit_expr_for_loop_mut(&mut self, repeat: &mut ExprForLoop) {
        self.visit_expr_mut(&mut repeat.expr);
        let mark = self.inner.len();
        self.declare(&repeat.pat);
        self.visit_block_mut(&mut repeat.body);
        self.inner.truncate(mark);
    }

    fn visit_expr_match_mut(&mut self, choice: &mut ExprMatch) {
        self.place(&mut choice.expr, |found| found.received = true);
        for arm in &mut choice.arms {
            let mark = self.inner.len();
            self.declare(&arm.pat);
            if let Pat::Guard(guarded) = &mut arm.pat {
                self.visit_expr_mut(&mut guarded.guard);
            }
            self.visit_expr_mut(&mut arm.body);
            self.inner.truncate(mark);
        }
    }

    fn visit_expr_closure_mut(&mut self, closure: &mut ExprClosure) {
        let mark = self.inner.len();
        closure.inputs.iter().for_each(|input| self.declare(input));
        self.visit_expr_mut(&mut closure.body);
        self.inner.truncate(mark);
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        let mark = self.inner.len();
        block.stmts.iter_mut().for_each(|stmt| self.visit_stmt_mut(stmt));
        self.inner.truncate(mark);
    }

    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        syn::visit_mut::visit_stmt_mut(self, stmt);
    }

    fn visit_local_mut(&mut self, local: &mut Local) {
        if let Some(init) = &mut local.init {
            self.visit_expr_mut(&mut init.expr);
            if let Some((_, diverge)) = &mut init.diverge {
                self.visit_expr_mut(diverge);
            }
        }
        self.declare(&local.pat);
    }

    /// Arguments that are expressions are seen as such; of others every name may be meant.
    fn visit_macro_mut(&mut self, call: &mut Macro) {
        match Punctuated::<Expr, Token![,]>::parse_terminated.parse2(call.tokens.clone()) {
            Ok(arguments) => {
                for mut argument in arguments {
                    self.place(&mut argument, |found| found.received = true);
                }
            }
            Err(_) => self.names(call.tokens.clone()),
        }
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
}

impl Uses {
    fn names(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => self.note(&ident, |found| found.received = true),
                TokenTree::Group(group) => self.names(group.stream()),
                _ => {}
            }
        }
    }
}

/// Whether it is `+=` or one of its like.
pub fn is_assignment(op: &syn::BinOp) -> bool {
    use syn::BinOp::*;
    matches!(
        op,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}

/// The variables that a pattern binds. A name in capitals alone is a constant or a variant.
pub fn bindings(pat: &Pat) -> Vec<PatIdent> {
    #[derive(Default)]
    struct Found(Vec<PatIdent>);
    impl VisitMut for Found {
        fn visit_pat_ident_mut(&mut self, binding: &mut PatIdent) {
            let is_name = binding.ident.to_string().starts_with(|first: char| !first.is_uppercase());
            if is_name || binding.subpat.is_some() || binding.mutability.is_some() {
                self.0.push(binding.clone());
            }
            syn::visit_mut::visit_pat_ident_mut(self, binding);
        }

        fn visit_expr_mut(&mut self, _: &mut Expr) {}
    }
    let mut found = Found::default();
    found.visit_pat_mut(&mut pat.clone());
    found.0
}
