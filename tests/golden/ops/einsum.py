"""Products that are summed by labels."""

import numpy as np

from fixture import stream
from samples import FLOATS, draw, f32, f64, name

OP = "Einsum"

# Equations, and shapes of their operands.
EQUATIONS = [
    # One operand: moved, summed, its diagonals, and its elements put on diagonals.
    ("ab->ba", (2, 3)),
    ("->", ()),
    ("ab->", (2, 3)),
    ("ab->b", (2, 3)),
    ("abc->ca", (2, 3, 4)),
    ("aa->a", (3, 3)),
    ("aab->ba", (2, 2, 3)),
    ("aba->b", (2, 3, 2)),
    ("ab->abb", (2, 3)),
    ("aab->abb", (2, 2, 3)),
    ("abc->aca", (2, 3, 4)),
    ("Ab->bA", (2, 3)),
    ("...->...", (2, 3)),
    ("...a->a...", (2, 3, 4)),
    ("a...b->b...", (2, 3, 4, 5)),
    ("aa...->a...", (2, 2, 3, 2)),
    ("...a->a...a", (2, 3)),
    ("ab->ba...", (2, 3)),
    # Products of elements.
    ("ab,ab->ab", (2, 3), (2, 3)),
    ("a,b->ab", (2,), (3,)),
    ("a,b->ba", (2,), (3,)),
    ("ab,cb->bac", (2, 3), (4, 3)),
    ("a,->a", (3,), ()),
    ("a,a->aa", (3,), (3,)),
    ("...,...->...", (2, 3), (3,)),
    ("ab,cd->a", (2, 3), (4, 5)),
    ("ab,cd->ca", (2, 3), (4, 5)),
    # Products of matrices, in all orders.
    ("ab,bc->ac", (2, 3), (3, 4)),
    ("ab,bc->ca", (2, 3), (3, 4)),
    ("ba,cb->ac", (3, 2), (4, 3)),
    ("ab,cb->ca", (2, 3), (4, 3)),
    ("ab,b->a", (2, 3), (3,)),
    ("a,ab->b", (2,), (2, 3)),
    ("a,a->", (5,), (5,)),
    ("ab,ab->", (2, 3), (2, 3)),
    ("ab,ba->", (2, 3), (3, 2)),
    ("ab,ab->a", (2, 3), (2, 3)),
    ("abc,acd->abd", (2, 3, 4), (2, 4, 2)),
    ("abc,dca->bda", (2, 3, 4), (5, 4, 2)),
    ("abc,bcd->ad", (2, 3, 4), (3, 4, 2)),
    ("abc,cbd->ad", (2, 3, 4), (4, 3, 2)),
    ("acb,cdb->da", (2, 3, 4), (3, 5, 4)),
    ("aab,bc->ac", (2, 2, 3), (3, 4)),
    ("ij,jk->ikk", (2, 3), (3, 4)),
    ("ij,jk->kik", (2, 3), (3, 4)),
    ("abx,bcy->ac", (2, 3, 2), (3, 4, 3)),
    ("abx,bc->ca", (2, 3, 2), (3, 4)),
    ("ab,bc->ac", (2, 0), (0, 3)),
    ("ab,bc->ac", (0, 2), (2, 3)),
    ("ab,bc->ac", (1, 1), (1, 1)),
    # With an ellipsis, which broadcasts.
    ("...ab,...bc->...ac", (2, 2, 3), (2, 3, 4)),
    ("...ab,...bc->...ac", (5, 1, 2, 3), (4, 3, 2)),
    ("...ab,bc->...ac", (2, 2, 2, 3), (3, 4)),
    ("...a,ab->...b", (2, 4, 3), (3, 5)),
    ("...a,ab->b...", (2, 4, 3), (3, 5)),
    ("ab,...b->...a", (2, 3), (2, 3)),
    ("...ab,b...->a...", (4, 2, 3), (3, 1)),
    ("a...b,b...->...a", (2, 3, 4, 5), (5, 1, 4)),
    ("...ab,...ab->...", (2, 3, 4), (3, 4)),
    ("...a,...->a...", (2, 3), (4, 2)),
    ("a...,ab->b...", (3, 2, 2), (3, 4)),
    # Projections to heads and back, and their gradients.
    ("abc,cde->abde", (2, 3, 4), (4, 2, 3)),
    ("abcd,cde->abe", (2, 3, 2, 4), (2, 4, 5)),
    ("abde,cde->abc", (2, 3, 2, 3), (4, 2, 3)),
    ("abde,abc->cde", (2, 3, 2, 3), (2, 3, 4)),
    ("...x,xyz->...yz", (2, 3, 4), (4, 2, 3)),
    ("...yz,yzx->...x", (2, 3, 2, 3), (2, 3, 4)),
    ("bqm,muh->bquh", (2, 3, 4), (4, 2, 3)),
    ("abcd,def->abcef", (2, 2, 3, 4), (4, 2, 2)),
    # Scores and values of attention.
    ("BTNH,BSNH->BNTS", (2, 3, 2, 4), (2, 5, 2, 4)),
    ("BNTS,BSNH->BTNH", (2, 2, 3, 5), (2, 5, 2, 4)),
    ("aecd,abcd->acbe", (2, 5, 2, 3), (2, 4, 2, 3)),
    ("acbe,aecd->abcd", (2, 2, 4, 5), (2, 5, 2, 3)),
    ("bquh,bkuh->buqk", (2, 3, 2, 4), (2, 5, 2, 4)),
    ("buqk,bkuh->bquh", (2, 2, 3, 5), (2, 5, 2, 4)),
    ("BTKGH,BSKH->BKGTS", (2, 3, 2, 2, 4), (2, 5, 2, 4)),
    ("BKGTS,BSKH->BTKGH", (2, 2, 2, 3, 5), (2, 5, 2, 4)),
    ("afgde,abcde->adbcfg", (1, 2, 3, 2, 3), (1, 2, 2, 2, 3)),
    ("adbcfg,afgde->abcde", (1, 2, 2, 2, 2, 3), (1, 2, 3, 2, 3)),
    ("abfde,abcde->abdcf", (2, 2, 3, 2, 3), (2, 2, 2, 2, 3)),
]


def add(run):
    for equation, *shapes in EQUATIONS:
        rng = stream(OP, equation, *map(str, shapes))
        x = [draw(rng, shape, f64, -2, 2, (0,)) for shape in shapes]
        words = f"{equation} {' '.join(str(list(shape)) for shape in shapes)}"
        for dtype in FLOATS if equation in ("ab->b", "abcd,cde->abe", "BNTS,BSNH->BTNH", "abx,bcy->ac") else (f32,):
            run.add(OP, f"{name(dtype)} {words}", [v.astype(dtype) for v in x], equation=equation)

    rng = stream(OP, "others")
    for dtype in (np.int32, np.int64, np.complex64):
        for equation, *shapes in EQUATIONS[3], EQUATIONS[9], EQUATIONS[18], EQUATIONS[27], EQUATIONS[43]:
            x = [rng.randint(-9, 9, shape).astype(dtype) for shape in shapes]
            if dtype == np.complex64:
                x = [v + 1j * rng.randint(-9, 9, v.shape).astype(dtype) for v in x]
            run.add(OP, f"{name(dtype)} {equation} {shapes}", x, equation=equation)
    run.add(
        OP,
        "of sixteen letters",
        [draw(rng, (1,) * 15 + (2,), f32, -2, 2)] * 2,
        equation="abcdefghijklmnop,abcdefghijklmnoq->pq",
    )
    long = [draw(rng, (3, 200), f32, -1, 1), draw(rng, (200, 2), f32, -1, 1)]
    run.add(OP, "a long sum", long, equation="ab,bc->ac")
    run.add(OP, "a long sum of one", [draw(rng, (3, 300), f32, -1, 1)], equation="ab->a")

    def fails(equation, *shapes):
        words = " ".join(str(list(shape)) for shape in shapes)
        run.fails(OP, f"{equation} {words}", [np.ones(shape, f32) for shape in shapes], equation=equation)

    fails("ab", (2, 3))
    fails("", ())
    fails("ab->ab->ab", (2, 3))
    fails("ab,bc,cd->ad", (2, 3), (3, 4), (4, 5))
    fails("a b->b a", (2, 3))
    fails("...->", (2, 3))
    fails("a...->a", (2, 3, 4))
    fails("...ab,...bc->ac", (5, 2, 3), (5, 3, 4))
    fails("ab,bc->ac", (2, 3))
    fails("ab->ba", (2, 3), (3, 4))
    fails("abc->a", (2, 3))
    fails("a->a", (2, 3))
    fails("ab...->a", (2,))
    fails("ab,bc->ac", (2, 3), (4, 5))
    fails("aa->a", (2, 3))
    fails("ab,ab->ab", (1, 3), (2, 3))
    fails("..a->a", (2, 3))
    fails("...ab,...bc->...ac", (5, 2, 3), (6, 3, 4))
