//! Who is measured when: whatever slows the machine for a while must slow all alike.

/// Who follows whom: each comes first as often as the others, and before another as often as after.
pub(crate) fn order(repetition: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).map(|turn| (turn + repetition / 2) % count).collect();
    if repetition % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_favours_nobody() {
        let orders: Vec<_> = (0..6).map(|repetition| order(repetition, 3)).collect();
        let first = |way| orders.iter().filter(|order| order[0] == way).count();
        assert_eq!([0, 1, 2].map(first), [2, 2, 2]);
        let place = |order: &[usize], way| order.iter().position(|&it| it == way);
        let before = |order: &&Vec<usize>| place(order, 0) < place(order, 1);
        assert_eq!(orders.iter().filter(before).count(), 3);
    }
}
