//! What must compile does, and what must not says why, at the word that is wrong.

#[test]
fn annotations_compile_or_say_what_is_wrong() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
