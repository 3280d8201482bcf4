//! Which accounts a key pays from, and which budgets are on them.
//!
//! Rule: the account of a key and that of its team always count, whether or not a budget is on them, so that one which is added later knows
//! what was spent.

use std::sync::Arc;

use crate::limit::budget::Wanted;
use crate::plan::{Budget, BudgetRef, Plan, Team, VirtualKey};

/// Lists what a key pays from.
pub(super) fn wanted(plan: &Plan, (name, key): (&str, &VirtualKey), team: Option<(&str, &Team)>) -> Vec<Wanted> {
    let mut list = Vec::new();
    of(&mut list, plan, &format!("key:{name}"), &key.budgets);
    if let Some((name, team)) = team {
        of(&mut list, plan, &format!("team:{name}"), &team.budgets);
    }
    list
}

fn of(list: &mut Vec<Wanted>, plan: &Plan, account: &str, budgets: &[BudgetRef]) {
    let account: Arc<str> = Arc::from(account);
    list.push(Wanted { account: Arc::clone(&account), budget: None });
    for reference in budgets {
        match reference {
            BudgetRef::Own(own) => {
                let name: Arc<str> = Arc::from(format!("{account} per {}", own.period));
                list.push(Wanted { account: Arc::clone(&account), budget: Some((name, Budget::clone(own))) });
            }
            BudgetRef::Shared(name) => {
                let account: Arc<str> = Arc::from(format!("budget:{name}"));
                let is_known = list.iter().any(|wanted| wanted.account == account);
                if let Some(terms) = plan.budgets.get(name).filter(|_| !is_known) {
                    list.push(Wanted { account, budget: Some((Arc::from(name.as_str()), terms.clone())) });
                }
            }
        }
    }
}
