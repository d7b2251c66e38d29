//! Some of the days on which something goes wrong; `make chaos` plays all of them.

use banyan_lab::bad_day::{Fault, Shape, play};

async fn is_survived(shape: Shape, fault: Fault) {
    match play(shape, fault).await {
        Ok(outcome) => println!("{shape}, {fault}: {outcome:?}"),
        Err(why) => eprintln!("passed over: {why}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_connections_to_payments_and_shipping_are_reset() {
    is_survived(Shape::GatewaysOut, Fault::Resets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_modules_out_the_database_server_is_killed() {
    is_survived(Shape::AllOut, Fault::Database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_of_each_module_one_of_orders_is_killed() {
    is_survived(Shape::AllOutTwice, Fault::Kill("orders")).await;
}

#[test]
fn each_cell_is_called_by_its_name() {
    for shape in Shape::ALL {
        assert_eq!(shape.to_string().parse(), Ok(shape));
        for fault in shape.faults() {
            assert_eq!(shape.fault(&fault.to_string()), Ok(fault));
        }
    }
    assert!(Shape::Local.fault("kill-orders").is_err(), "it has no such process");
}
