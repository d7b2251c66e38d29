//! A cancel that races with a capture: one of them wins, whole.

use banyan_kernel::Answer;
use payments_api::{
    Payments,
    testing::{UnderTest, ask_until_settled, authorise, capture, order, void},
};

use crate::world::World;

#[tokio::test]
async fn a_void_and_a_capture_at_once_leave_money_taken_or_let_go_never_both() {
    let world =
        World::of_profile("capture.timeout=20%,void.timeout=20%,capture.down=20%,void.down=20%").await;
    let (mut taken, mut let_go) = (0, 0);
    for n in 0..40 {
        let order = order(&format!("race-{n}"));
        let held = || world.payments.authorise(vec![authorise(order, 1, "pm_card_visa")]);
        ask_until_settled(&world, held).await;
        let captured = async {
            if n % 2 == 0 {
                tokio::task::yield_now().await;
            }
            ask_until_settled(&world, || world.payments.capture(vec![capture(order, 1)])).await
        };
        let voided = ask_until_settled(&world, || world.payments.void(vec![void(order, 1)]));
        let (captured, voided) = tokio::join!(captured, voided);
        match (&captured, &voided) {
            (Answer::Done(_), Answer::Rejected(refusal)) if refusal.code == "captured" => {
                taken += 1;
                assert_eq!(world.book(order).await, ["authorised", "captured"]);
            }
            (Answer::Rejected(refusal), Answer::Done(_)) if refusal.code == "not_authorised" => {
                let_go += 1;
                assert_eq!(world.book(order).await, ["authorised", "cancelled"]);
            }
            both => panic!("{both:?}"),
        }
    }
    println!("{taken} taken, {let_go} let go");
    world.balances().await;
}
