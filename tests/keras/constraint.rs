use super::*;
use modulor::keras::constraint::AnyConstraint;
use modulor::variable::Constraint;

#[test]
fn projections_are_kerass() {
    let mut count = 0;
    for row in rows("constraint") {
        let constraint: AnyConstraint = row.get("config");
        let x = row.tensor("x").expect("an input");
        let y = constraint.project(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        assert_near(&y, &row.tensor("reference").expect("a reference"), 8.0 * epsilon(DType::F32), &row.case);
        count += 1;
    }
    assert!(count > 40);
}
