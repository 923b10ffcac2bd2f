//! Rewrites the body of a function: what a tensor may decide gets a second form, for graphs.
//!
//! What a condition is does not show, unless it is a comparison, a pattern or the like. So an `if` becomes
//! `match decide(condition) { Known(bool) => if bool { .. } else { .. }, symbol => .. }`: the first arm is the code as it was
//! written, the second calls the branches as closures, whose results have the variables that either changes. The code in such
//! a closure, which is said to be staged, has only the second form. In it a value of the surroundings that would move is cloned,
//! and a `return` or `break` out of it is an error when it is traced, except where [`Rewriter::body`] finds a form for it.

use super::exits::{ends, flagged, numbered, returns};
use super::uses::{Use, Uses, bindings, is_assignment};
use super::{exits::FLAG, plain};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Block, Expr, ExprForLoop, ExprIf, ExprWhile, Item, Label, Lifetime, Local, Pat, ReturnType, Stmt, Token, Type,
    UnOp, parse_quote, spanned::Spanned, visit_mut::VisitMut,
};

/// A variable in scope.
pub struct Variable {
    pub ident: Ident,
    pub mutable: bool,
    /// It is a reference, which moves nothing.
    pub reference: bool,
    pub is_bool: bool,
    /// It has been declared and not yet been given a value.
    pub empty: bool,
    /// It is a result of the closure that this is in, which uses clones of it.
    pub kept: bool,
}

pub struct Rewriter {
    /// The variables in scope, the innermost last.
    pub variables: Vec<Variable>,
    /// What the function gives, with its arrow.
    pub output: ReturnType,
    surroundings: Surroundings,
    /// How many loops are around this place.
    depth: usize,
}

/// What is around a place, up to the closure that it is in.
#[derive(Clone)]
struct Surroundings {
    /// It is in a closure of a branch or a loop.
    staged: bool,
    /// A `return` here is one of the function.
    returns: bool,
    /// What the closure is the body of.
    what: (&'static str, Span),
    /// The loops and labelled blocks.
    loops: Vec<Frame>,
}

#[derive(Clone)]
struct Frame {
    label: Option<Lifetime>,
    is_loop: bool,
}

/// The code around a closure: what it takes from its surroundings.
struct Carried {
    names: Vec<Ident>,
    empty: Vec<bool>,
}

impl Rewriter {
    pub fn new(output: ReturnType) -> Rewriter {
        let what = ("if", Span::call_site());
        let surroundings = Surroundings { staged: false, returns: true, what, loops: Vec::new() };
        Rewriter { variables: Vec::new(), output, surroundings, depth: 0 }
    }

    /// The statements of the function, or of the rest of it.
    ///
    /// An `if` among them that a tensor may decide, and that leaves the function or ends it, is followed in each branch by
    /// what comes after it.
    pub fn body(&mut self, stmts: Vec<Stmt>) -> TokenStream {
        let mark = self.variables.len();
        let mut out = TokenStream::new();
        let mut rest = stmts.into_iter();
        while let Some(mut stmt) = rest.next() {
            let is_last = rest.as_slice().is_empty();
            match &stmt {
                Stmt::Expr(Expr::If(branch), semi)
                    if !self.is_plain(&branch.cond)
                        && !is_flag(&branch.cond)
                        && (returns(branch) || is_last && semi.is_none()) =>
                {
                    let (branch, after) = (branch.clone(), rest.as_slice().to_vec());
                    let staged = self.continued(&branch, &after);
                    let decision = self.decision(&branch.cond);
                    if self.surroundings.staged {
                        out.extend(quote!({ let __modulor_decision = #decision; #staged }));
                        break;
                    }
                    let (then, otherwise) = self.plain_branches(&branch);
                    out.extend(quote! {
                        match #decision {
                            __m::Decision::Known(__modulor_truth) => if __modulor_truth #then #otherwise
                            __modulor_decision => {
                                #[allow(clippy::needless_return)]
                                return #staged;
                            }
                        }
                    });
                }
                _ => {
                    self.statement(&mut stmt, is_last);
                    out.extend(quote!(#stmt));
                }
            }
        }
        self.variables.truncate(mark);
        out
    }

    /// One of two branches, each with what comes after them.
    fn continued(&mut self, branch: &ExprIf, after: &[Stmt]) -> TokenStream {
        let then = branch.then_branch.stmts.clone();
        let otherwise = match branch.else_branch.as_ref().map(|(_, otherwise)| &**otherwise) {
            Some(Expr::Block(block)) => block.block.stmts.clone(),
            Some(other) => vec![Stmt::Expr(other.clone(), None)],
            None => Vec::new(),
        };
        let output = self.output.clone();
        let closures = [then, otherwise].map(|stmts| {
            let stmts = self.followed(stmts, after);
            let block = Block { brace_token: Default::default(), stmts };
            let uses = Uses::of_block(&block);
            // What is changed is not seen any more outside.
            let changed = self.carried(&uses);
            let prelude = self.prelude(&uses, &changed, "if", branch.if_token.span);
            let what = ("if", branch.if_token.span);
            let around = self.enter(Surroundings { staged: true, returns: true, what, loops: Vec::new() });
            let body = self.isolated(|this| this.body(block.stmts)).0;
            self.surroundings = around;
            quote!(|| #output { #prelude #body })
        });
        let [then, otherwise] = closures;
        quote! {{
            #[allow(unused_mut, unused_variables, unused_assignments, unreachable_code, clippy::all)]
            let (__modulor_then, __modulor_else) = (#then, #otherwise);
            __m::chosen(__modulor_decision, __modulor_then, __modulor_else)
        }}
    }

    /// A branch, and what comes after it.
    fn followed(&self, mut stmts: Vec<Stmt>, after: &[Stmt]) -> Vec<Stmt> {
        if after.is_empty() || ends(&stmts) {
            return stmts;
        }
        let later = Uses::of_block(&Block { brace_token: Default::default(), stmts: after.to_vec() });
        let hides = |stmt: &Stmt| match stmt {
            Stmt::Local(local) => bindings(&local.pat).iter().any(|name| later.mentions(&name.ident.to_string())),
            Stmt::Item(_) => true,
            _ => false,
        };
        if stmts.iter().any(hides) {
            stmts = vec![parse_quote!({ #(#stmts)* })];
        }
        if let Some(Stmt::Expr(_, semi @ None)) = stmts.last_mut() {
            *semi = Some(Token![;](Span::mixed_site()));
        }
        stmts.extend(after.iter().cloned());
        stmts
    }

    /// Whether a condition is a `bool` for sure.
    fn is_plain(&self, condition: &Expr) -> bool {
        let is_bool = |name: &Ident| self.variables.iter().rev().find(|v| v.ident == *name).is_some_and(|v| v.is_bool);
        plain::is_bool(condition, &is_bool)
    }

    fn enter(&mut self, surroundings: Surroundings) -> Surroundings {
        std::mem::replace(&mut self.surroundings, surroundings)
    }

    /// In a closure of a branch or a loop, whose results are the values of what is carried.
    fn staged<R>(&mut self, what: (&'static str, Span), carried: &Carried, f: impl FnOnce(&mut Self) -> R) -> R {
        let around = self.enter(Surroundings { staged: true, returns: false, what, loops: Vec::new() });
        let kept: Vec<bool> = self.variables.iter().map(|variable| variable.kept).collect();
        for name in &carried.names {
            if let Some(variable) = self.innermost(name) {
                variable.kept = true;
            }
        }
        let result = f(self);
        self.variables.iter_mut().zip(kept).for_each(|(variable, kept)| variable.kept = kept);
        self.surroundings = around;
        result
    }

    fn innermost(&mut self, name: &Ident) -> Option<&mut Variable> {
        self.variables.iter_mut().rev().find(|variable| variable.ident == *name)
    }

    fn in_loop<R>(&mut self, label: Option<&Label>, is_loop: bool, f: impl FnOnce(&mut Self) -> R) -> R {
        let label = label.map(|label| label.name.clone());
        self.surroundings.loops.push(Frame { label, is_loop });
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        self.surroundings.loops.pop();
        result
    }

    /// Gives, beside the result, the variables that got their first values in `f`, which have none again.
    fn isolated<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> (R, Vec<usize>) {
        let before: Vec<bool> = self.variables.iter().map(|variable| variable.empty).collect();
        let result = f(self);
        let mut filled = Vec::new();
        for (at, (variable, empty)) in self.variables.iter_mut().zip(before).enumerate() {
            if variable.empty != empty {
                filled.push(at);
            }
            variable.empty = empty;
        }
        (result, filled)
    }

    fn scoped<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let mark = self.variables.len();
        let result = f(self);
        self.variables.truncate(mark);
        result
    }

    pub fn declare(&mut self, pat: &Pat, ty: Option<&Type>, empty: bool, is_bool: bool) {
        let ty = match pat {
            Pat::Type(typed) => Some(&*typed.ty),
            _ => ty,
        };
        let reference = matches!(ty, Some(Type::Reference(reference)) if reference.mutability.is_none());
        let is_bool = is_bool || matches!(ty, Some(Type::Path(path)) if path.path.is_ident("bool"));
        self.variables.extend(bindings(pat).into_iter().map(|binding| Variable {
            mutable: binding.mutability.is_some(),
            reference: reference || binding.by_ref.is_some(),
            ident: binding.ident,
            is_bool,
            empty,
            kept: false,
        }));
    }

    /// The innermost variable of each name.
    fn visible(&self) -> impl Iterator<Item = &Variable> {
        let is_visible = |at: &usize| {
            let hidden = &self.variables[at + 1..];
            hidden.iter().all(|other| other.ident != self.variables[*at].ident)
        };
        (0..self.variables.len()).filter(is_visible).map(|at| &self.variables[at])
    }

    /// The variables that a piece of code changes, or may change by a method.
    fn carried(&self, uses: &Uses) -> Carried {
        let mut carried = Carried { names: Vec::new(), empty: Vec::new() };
        for variable in self.visible() {
            let Some(found) = uses.get(&variable.ident.to_string()) else { continue };
            if found.assigned || variable.mutable && found.received {
                carried.names.push(variable.ident.clone());
                carried.empty.push(variable.empty);
            }
        }
        carried
    }

    /// Where something stands, for messages.
    fn place(&self, what: &str, span: Span) -> TokenStream {
        quote_spanned! {span=>
            &__m::Place { what: #what, file: ::core::file!(), line: ::core::line!(), column: ::core::column!() }
        }
    }

    /// Copies of what a closure would move or change; what a loop or a branch carries comes from elsewhere.
    fn prelude(&self, uses: &Uses, carried: &Carried, what: &str, span: Span) -> TokenStream {
        let mut out = self.lent(uses, carried, what, span);
        for (name, empty) in carried.names.iter().zip(&carried.empty) {
            if *empty {
                out.extend(quote!(let mut #name;));
                continue;
            }
            let owned = self.owned(name, what, span);
            out.extend(quote!(let mut #name = #owned;));
        }
        out
    }

    fn owned(&self, name: &Ident, what: &str, span: Span) -> TokenStream {
        let (place, shown) = (self.place(what, span), shown(name));
        quote!((&&__m::Copied(&#name)).modulor_owned(#place, #shown)?)
    }

    /// Copies of what a closure would move.
    fn lent(&self, uses: &Uses, carried: &Carried, what: &str, span: Span) -> TokenStream {
        let mut out = TokenStream::new();
        for variable in self.visible() {
            let Some(found) = uses.get(&variable.ident.to_string()) else { continue };
            if carried.names.contains(&variable.ident) || variable.reference || variable.empty {
                continue;
            }
            let name = &variable.ident;
            match found {
                Use { moved: true, .. } => {
                    let owned = self.owned(name, what, span);
                    out.extend(quote!(let #name = #owned;));
                }
                Use { received: true, .. } => {
                    out.extend(quote!(let #name = (&&__m::Copied(&#name)).modulor_lent();));
                }
                _ => {}
            }
        }
        out
    }

    fn decision(&mut self, condition: &Expr) -> TokenStream {
        if is_flag(condition) {
            return quote!(__m::neither(&#condition)?);
        }
        let mut condition = condition.clone();
        self.visit_expr_mut(&mut condition);
        let decide = quote_spanned!(condition.span()=> __m::decide);
        quote!(#decide(#condition)?)
    }

    fn plain_block(&mut self, block: &Block) -> TokenStream {
        let mut block = block.clone();
        self.isolated(|this| this.visit_block_mut(&mut block));
        quote!(#block)
    }

    /// The branches as they were written.
    fn plain_branches(&mut self, branch: &ExprIf) -> (TokenStream, TokenStream) {
        let then = self.plain_block(&branch.then_branch);
        let Some((_, otherwise)) = &branch.else_branch else { return (then, TokenStream::new()) };
        let mut otherwise = otherwise.clone();
        self.isolated(|this| this.visit_expr_mut(&mut otherwise));
        let otherwise = match *otherwise {
            Expr::Block(_) => quote!(else #otherwise),
            other => quote!(else { #other }),
        };
        (then, otherwise)
    }

    /// An `if` whose value is `()` if `unit`.
    fn branch(&mut self, mut branch: ExprIf, unit: bool) -> Expr {
        if self.is_plain(&branch.cond) {
            return self.scoped(|this| {
                this.visit_expr_mut(&mut branch.cond);
                declare_matched(this, &branch.cond);
                let (_, mut filled) = this.isolated(|this| this.visit_block_mut(&mut branch.then_branch));
                if let Some((_, otherwise)) = &mut branch.else_branch {
                    filled.extend(this.isolated(|this| this.visit_expr_mut(otherwise)).1);
                    if !matches!(**otherwise, Expr::Block(_) | Expr::If(_)) {
                        let other = &otherwise;
                        **otherwise = parse_quote!({ #other });
                    }
                }
                filled.into_iter().for_each(|at| this.variables[at].empty = false);
                Expr::If(branch)
            });
        }
        let decision = self.decision(&branch.cond);
        let is_staged = self.surroundings.staged || is_flag(&branch.cond);
        let plain = (!is_staged).then(|| self.plain_branches(&branch));
        let staged = self.staged_branches(&branch, unit);
        let allow = quote! {
            #[allow(unused_mut, unused_variables, unused_assignments, unreachable_code, clippy::all)]
        };
        Expr::Verbatim(match plain {
            Some((then, otherwise)) => quote!(match #decision {
                __m::Decision::Known(__modulor_truth) => if __modulor_truth #then #otherwise
                __modulor_decision => { #allow let __modulor_value = #staged; __modulor_value }
            }),
            None => quote!({
                #allow
                let __modulor_value = { let __modulor_decision = #decision; #staged };
                __modulor_value
            }),
        })
    }

    fn staged_branches(&mut self, branch: &ExprIf, unit: bool) -> TokenStream {
        let span = branch.if_token.span;
        let otherwise: Block = match branch.else_branch.as_ref().map(|(_, otherwise)| &**otherwise) {
            Some(Expr::Block(block)) => block.block.clone(),
            Some(other) => parse_quote!({ #other }),
            None => parse_quote!({}),
        };
        let blocks = [&branch.then_branch, &otherwise];
        let carried = self.carried(&Uses::of_block(blocks[0]).and(Uses::of_block(blocks[1])));
        let list = nested(carried.names.iter().map(|name| quote!(#name)));
        let ty = (unit || gives_nothing(branch)).then(|| quote!(: ()));
        let [then, otherwise] = blocks.map(|block| {
            let prelude = self.prelude(&Uses::of_block(block), &carried, "if", span);
            let body = self.staged(("if", span), &carried, |this| this.plain_block(block));
            quote!(|| -> __m::Result<_> { #prelude let __modulor_value #ty = #body; __m::Ok((__modulor_value, #list)) })
        });
        let (kinds, ask) = self.kinds_of_results(carried.names.len());
        let before = nested(carried.names.iter().zip(&carried.empty).map(|(name, empty)| match empty {
            true => quote!(__m::None),
            false => quote!(__m::Some(&#name)),
        }));
        let names = carried.names.iter().map(shown);
        let place = self.place("if", span);
        let (results, assign) = assigned(&carried.names);
        for name in &carried.names {
            self.filled(name);
        }
        quote! {{
            let __modulor_then = #then;
            let __modulor_else = #otherwise;
            #ask
            let (__modulor_value, #results) = __m::branches(
                #place,
                __modulor_decision,
                ((&&&&__modulor_kind).modulor_part(), #kinds),
                &[#(#names),*],
                #before,
                __modulor_then,
                __modulor_else,
            )?;
            #assign
            __modulor_value
        }}
    }

    /// A statement; the last one of a block may be its value.
    fn statement(&mut self, stmt: &mut Stmt, is_last: bool) {
        let unit = match stmt {
            Stmt::Expr(Expr::If(_), None) => !is_last,
            Stmt::Expr(Expr::While(_) | Expr::ForLoop(_), _) => true,
            _ => false,
        };
        match stmt {
            Stmt::Expr(Expr::If(branch), semi) => {
                let expr = self.branch(branch.clone(), unit);
                *stmt = Stmt::Expr(expr, if unit { Some(Token![;](Span::mixed_site())) } else { *semi });
            }
            _ => self.visit_stmt_mut(stmt),
        }
        if let (true, Stmt::Expr(Expr::Verbatim(_), semi @ None)) = (unit, stmt) {
            *semi = Some(Token![;](Span::mixed_site()));
        }
    }

    /// How the results of two closures go through, and the lines that ask for it.
    fn kinds_of_results(&self, count: usize) -> (TokenStream, TokenStream) {
        let mut ask =
            quote!(let (__modulor_kind, __modulor_kinds) = __m::parts(&__m::both(&__modulor_then, &__modulor_else)););
        for at in 0..count {
            let kind = numbered(at);
            ask.extend(quote!(let (#kind, __modulor_kinds) = __m::parts(&__modulor_kinds);));
        }
        let kinds = nested((0..count).map(numbered).map(|kind| quote!((&&&&#kind).modulor_part())));
        (kinds, ask)
    }

    /// A variable has a value from here on.
    fn filled(&mut self, name: &Ident) {
        if let Some(variable) = self.innermost(name) {
            variable.empty = false;
        }
    }

    fn repeat(&mut self, mut repeat: ExprWhile) -> Expr {
        if self.is_plain(&repeat.cond) {
            return self.scoped(|this| {
                this.visit_expr_mut(&mut repeat.cond);
                declare_matched(this, &repeat.cond);
                let label = repeat.label.clone();
                this.in_loop(label.as_ref(), true, |this| this.visit_block_mut(&mut repeat.body));
                Expr::While(repeat)
            });
        }
        let ExprWhile { label, while_token, cond, body, .. } = &repeat;
        let (place, span) = (self.place("while", while_token.span), while_token.span);
        let flagged = flagged(body, label.as_ref(), self.depth, false);
        let staged = self.scoped(|this| {
            let flag = this.flag(flagged.left.as_ref());
            let uses = || Uses::of_block(&flagged.body);
            let carried = this.carried(&Uses::of_expr(cond).and(uses()));
            let mut asked = (**cond).clone();
            let asks = this.lent(&Uses::of_expr(cond), &carried, "while", span);
            this.staged(("while", span), &carried, |this| this.visit_expr_mut(&mut asked));
            let mut condition = quote!(__m::Ok(#asked));
            if let Some(left) = &flagged.left {
                condition = quote!(__m::unless(&#left, || -> __m::Result<_> { #condition }));
            }
            let does = this.lent(&uses(), &carried, "while", span);
            let body = this.staged(("while", span), &carried, |this| this.plain_block(&flagged.body));
            let (kinds, names, before, list, parameters) = this.carries(&carried);
            let (results, assign) = assigned(&carried.names);
            quote! {
                #flag
                let #results = __m::repeated(
                    #place, #kinds, #names, #before,
                    |#parameters| -> __m::Result<_> { #asks #condition },
                    |#parameters| -> __m::Result<_> { #does #body __m::Ok(#list) },
                )?;
                #assign
            }
        });
        let mut asked = (**cond).clone();
        self.visit_expr_mut(&mut asked);
        let decide = quote_spanned!(cond.span()=> __m::truth);
        let plain = self.in_loop(label.as_ref(), true, |this| this.plain_block(body));
        Expr::Verbatim(quote! {
            if __m::repeats(&|| -> __m::Result<_> { __m::Ok(#cond) }) {
                #[allow(unused_mut, unused_variables, unused_assignments, unreachable_code, clippy::all)]
                { #staged }
            } else {
                #label while #decide(#asked)? #plain
            }
        })
    }

    fn for_each(&mut self, mut repeat: ExprForLoop) -> Expr {
        self.visit_expr_mut(&mut repeat.expr);
        if plain::is_iterator(&repeat.expr) {
            return self.scoped(|this| {
                this.declare(&repeat.pat, None, false, false);
                let label = repeat.label.clone();
                this.in_loop(label.as_ref(), true, |this| this.visit_block_mut(&mut repeat.body));
                Expr::ForLoop(repeat)
            });
        }
        let ExprForLoop { label, for_token, pat, expr, body, .. } = &repeat;
        let (place, span) = (self.place("for", for_token.span), for_token.span);
        let flagged = flagged(body, label.as_ref(), self.depth, true);
        let staged = self.scoped(|this| {
            let flag = this.flag(flagged.left.as_ref());
            // What the pattern binds is not of the surroundings.
            let block = &flagged.body;
            let uses = || Uses::of_expr(&parse_quote!(for #pat in () #block));
            let carried = this.carried(&uses());
            let does = this.lent(&uses(), &carried, "for", span);
            let body = this.scoped(|this| {
                this.declare(pat, None, false, false);
                this.staged(("for", span), &carried, |this| this.plain_block(&flagged.body))
            });
            let (kinds, names, before, list, parameters) = this.carries(&carried);
            let (results, assign) = assigned(&carried.names);
            quote! {
                #flag
                let #results = __m::rows(
                    #place, &__modulor_rows, #kinds, #names, #before,
                    |#parameters, __modulor_row| -> __m::Result<_> {
                        #does
                        let #pat = __m::Loops::item(&__modulor_loop, __modulor_row)?;
                        #body
                        __m::Ok(#list)
                    },
                )?;
                #assign
            }
        });
        let plain = self.scoped(|this| {
            this.declare(pat, None, false, false);
            this.in_loop(label.as_ref(), true, |this| this.plain_block(body))
        });
        Expr::Verbatim(quote! {
            match #expr {
                __modulor_of => {
                    let __modulor_loop = (&&__m::ask(&__modulor_of)).modulor_loop();
                    match __m::Loops::begin(&__modulor_loop, __modulor_of)? {
                        __m::Each::Items(__modulor_items) => { #label for #pat in __modulor_items #plain }
                        #[allow(unused_mut, unused_variables, unused_assignments, unreachable_code, clippy::all)]
                        __m::Each::Rows(__modulor_rows) => { #staged }
                    }
                }
            }
        })
    }

    /// The line that declares the flag of a loop that can be left.
    fn flag(&mut self, left: Option<&Ident>) -> TokenStream {
        let Some(left) = left else { return TokenStream::new() };
        self.declare(&parse_quote!(mut #left), None, false, false);
        quote!(let mut #left = __m::flag(false);)
    }

    /// How what a loop carries goes through: kinds, names, what it is before, the list of it, and it as a parameter.
    fn carries(&self, carried: &Carried) -> (TokenStream, TokenStream, TokenStream, TokenStream, TokenStream) {
        let names = &carried.names;
        let shown = names.iter().map(shown);
        (
            nested(names.iter().map(|name| quote!((&&&&__m::ask(&#name)).modulor_part()))),
            quote!(&[#(#shown),*]),
            nested(names.iter().map(|name| quote!(__m::Some(&#name)))),
            nested(names.iter().map(|name| quote!(#name))),
            nested(names.iter().map(|name| quote!(mut #name))),
        )
    }

    /// Whether a `break` or `continue` stays within the closure that it is in.
    fn stays(&self, label: Option<&Lifetime>) -> bool {
        let frames = &self.surroundings.loops;
        !self.surroundings.staged
            || match label {
                Some(label) => frames.iter().any(|frame| frame.label.as_ref() == Some(label)),
                None => frames.iter().any(|frame| frame.is_loop),
            }
    }

    /// Visits what is in a place, of which nothing is moved out.
    fn visit_place(&mut self, place: &mut Expr) {
        match place {
            Expr::Path(_) | Expr::Infer(_) => {}
            Expr::Field(field) => self.visit_place(&mut field.base),
            Expr::Index(index) => {
                self.visit_expr_mut(&mut index.index);
                self.visit_place(&mut index.expr);
            }
            Expr::Paren(paren) => self.visit_place(&mut paren.expr),
            Expr::Group(group) => self.visit_place(&mut group.expr),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => self.visit_place(&mut unary.expr),
            Expr::Tuple(tuple) => tuple.elems.iter_mut().for_each(|part| self.visit_place(part)),
            other => self.visit_expr_mut(other),
        }
    }

    fn refused(&self, word: &str, span: Span) -> Expr {
        let (what, at) = self.surroundings.what;
        let place = self.place(what, at);
        Expr::Verbatim(quote_spanned!(span=> return __m::Err(__m::crossing(#place, #word))))
    }
}

impl VisitMut for Rewriter {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let taken = |expr: &mut Expr| std::mem::replace(expr, Expr::Verbatim(TokenStream::new()));
        match expr {
            Expr::If(_) => {
                if let Expr::If(branch) = taken(expr) {
                    *expr = self.branch(branch, false);
                }
            }
            Expr::While(_) => {
                if let Expr::While(repeat) = taken(expr) {
                    *expr = self.repeat(repeat);
                }
            }
            Expr::ForLoop(_) => {
                if let Expr::ForLoop(repeat) = taken(expr) {
                    *expr = self.for_each(repeat);
                }
            }
            Expr::Loop(repeat) => {
                let label = repeat.label.clone();
                self.in_loop(label.as_ref(), true, |this| this.visit_block_mut(&mut repeat.body));
            }
            Expr::Block(block) => {
                let label = block.label.clone();
                self.in_loop(label.as_ref(), false, |this| this.visit_block_mut(&mut block.block));
            }
            Expr::Match(choice) => {
                self.visit_place(&mut choice.expr);
                for arm in &mut choice.arms {
                    self.scoped(|this| {
                        this.declare(&arm.pat, None, false, false);
                        this.visit_expr_mut(&mut arm.body);
                    });
                }
            }
            // What is in these is no part of the function.
            Expr::Closure(_) | Expr::Async(_) | Expr::Const(_) => {}
            Expr::Break(leave) if !self.stays(leave.label.as_ref()) => {
                *expr = self.refused("break", leave.break_token.span);
            }
            Expr::Continue(leave) if !self.stays(leave.label.as_ref()) => {
                *expr = self.refused("continue", leave.continue_token.span);
            }
            Expr::Return(leave) if !self.surroundings.returns => {
                *expr = self.refused("return", leave.return_token.span);
            }
            Expr::Path(path) => {
                if let Some(name) = path.path.get_ident().cloned()
                    && self.innermost(&name).is_some_and(|variable| variable.kept)
                {
                    let (what, span) = self.surroundings.what;
                    *expr = Expr::Verbatim(self.owned(&name, what, span));
                }
            }
            Expr::MethodCall(call) => {
                self.visit_place(&mut call.receiver);
                call.args.iter_mut().for_each(|argument| self.visit_expr_mut(argument));
            }
            Expr::Call(call) => {
                self.visit_place(&mut call.func);
                call.args.iter_mut().for_each(|argument| self.visit_expr_mut(argument));
            }
            Expr::Reference(reference) => self.visit_place(&mut reference.expr),
            Expr::Let(matched) => self.visit_place(&mut matched.expr),
            Expr::Field(_) | Expr::Index(_) => self.visit_place(expr),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => self.visit_place(&mut unary.expr),
            Expr::Binary(binary) if is_assignment(&binary.op) => {
                self.visit_expr_mut(&mut binary.right);
                self.visit_place(&mut binary.left);
            }
            Expr::Assign(assign) => {
                self.visit_expr_mut(&mut assign.right);
                self.visit_place(&mut assign.left);
                if let Expr::Path(path) = &*assign.left
                    && let Some(name) = path.path.get_ident()
                {
                    self.filled(&name.clone());
                }
            }
            _ => syn::visit_mut::visit_expr_mut(self, expr),
        }
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        let count = block.stmts.len();
        self.scoped(|this| {
            for (at, stmt) in block.stmts.iter_mut().enumerate() {
                this.statement(stmt, at + 1 == count);
            }
        });
    }

    fn visit_local_mut(&mut self, local: &mut Local) {
        let mut is_bool = false;
        if let Some(init) = &mut local.init {
            is_bool = self.is_plain(&init.expr);
            self.visit_expr_mut(&mut init.expr);
            if let Some((_, diverge)) = &mut init.diverge {
                self.visit_expr_mut(diverge);
            }
        }
        self.declare(&local.pat, None, local.init.is_none(), is_bool);
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// Declares what the patterns of a condition bind.
fn declare_matched(rewriter: &mut Rewriter, condition: &Expr) {
    match condition {
        Expr::Let(matched) => rewriter.declare(&matched.pat, None, false, false),
        Expr::Binary(binary) => {
            declare_matched(rewriter, &binary.left);
            declare_matched(rewriter, &binary.right);
        }
        _ => {}
    }
}

/// Whether the branches have no value.
fn gives_nothing(branch: &ExprIf) -> bool {
    let ends = |block: &Block| match block.stmts.last() {
        Some(Stmt::Expr(Expr::If(branch), None)) => gives_nothing(branch),
        Some(Stmt::Expr(Expr::While(_) | Expr::ForLoop(_), None)) => true,
        Some(Stmt::Expr(_, None)) => false,
        _ => true,
    };
    let otherwise = match branch.else_branch.as_ref().map(|(_, otherwise)| &**otherwise) {
        Some(Expr::Block(block)) => ends(&block.block),
        Some(Expr::If(branch)) => gives_nothing(branch),
        Some(_) => false,
        None => true,
    };
    ends(&branch.then_branch) && otherwise || branch.else_branch.is_none()
}

/// Whether a condition is a flag of a loop.
fn is_flag(condition: &Expr) -> bool {
    matches!(condition, Expr::Path(path) if path.path.get_ident().is_some_and(|name| name.to_string().starts_with(FLAG)))
}

/// `(a, (b, ()))`
fn nested(parts: impl DoubleEndedIterator<Item = TokenStream>) -> TokenStream {
    parts.rev().fold(quote!(()), |rest, part| quote!((#part, #rest)))
}

/// The pattern of results, and the lines that give them to variables.
fn assigned(names: &[Ident]) -> (TokenStream, TokenStream) {
    let pattern = nested((0..names.len()).map(numbered).map(|result| quote!(#result)));
    let results = (0..names.len()).map(numbered);
    (pattern, quote!(#(#names = #results;)*))
}

/// A variable as messages name it.
fn shown(name: &Ident) -> String {
    let name = name.to_string();
    match name.starts_with(FLAG) {
        true => "a flag".to_owned(),
        false => format!("`{name}`"),
    }
}
