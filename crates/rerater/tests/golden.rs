//! The price lists of SPEC 6, worked out by hand. The numbers stand in `cases/*.json`, so that whoever
//! rates in another way can be held to the same; the arithmetic stands here.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tenure_rerater::{Case, Line, load_case, rate};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn case(id: &str) -> Case {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    load_case(&repository(), &cases.join(format!("{id}.json"))).unwrap()
}

/// The lines in a fixed order, for comparing.
fn sorted(lines: &[Line]) -> Vec<Line> {
    let mut lines = lines.to_vec();
    lines.sort_by(|a, b| a.charge.cmp(&b.charge));
    lines
}

/// Rates a stored case and compares it with what was worked out by hand.
fn confirm(id: &str) {
    let case = case(id);
    assert!(!case.expected.is_empty(), "{id} expects nothing");
    for expected in &case.expected {
        let invoice = rate(&case.input, expected.period).unwrap();
        let parts = &invoice.parts;
        assert_eq!(sorted(&invoice.lines), sorted(&expected.lines), "{id}: {parts:#?}");
        assert_eq!(invoice.total, expected.total, "{id}");
    }
}

// ---- Governance [000]

// SPEC 6 [000] "Licence once: Starter 25,000".
// March: 25,000.00. April: nothing falls due.
#[test]
fn a_licence_is_paid_once_and_never_again() {
    confirm("000-licence-starter");
}

// "Professional 75,000 (100); support 5,000-20,000 a month, optional"; agreed: 5,000.
// March: 75,000 + 5,000 = 80,000.00. April: 5,000.00.
#[test]
fn support_beside_a_licence_costs_what_was_agreed_each_month() {
    confirm("000-licence-professional-with-support");
}

// "Enterprise from 150,000"; agreed: 180,000, and support for 20,000 a month.
// March: 180,000 + 20,000 = 200,000.00.
#[test]
fn an_enterprise_licence_costs_what_its_contract_says() {
    confirm("000-licence-enterprise");
}

// "Subscription a month: 3,000".
#[test]
fn the_starter_subscription_costs_3_000_a_month() {
    confirm("000-subscription-starter");
}

// "8,000".
#[test]
fn the_professional_subscription_costs_8_000_a_month() {
    confirm("000-subscription-professional");
}

// "from 15,000"; agreed: 16,500 a month.
#[test]
fn an_enterprise_subscription_costs_what_its_contract_says() {
    confirm("000-subscription-enterprise");
}

// "Hybrid: 50,000 once + 5,000 a month support + 2,000 a month cloud services (optional)".
// Cloud services from 16 March 12:00: 15.5 of March's 31 days are left, 15.5 / 31 = 1/2.
// March: 50,000 + 5,000 + 2,000 x 1/2 = 56,000.00. April: 5,000 + 2,000 = 7,000.00.
#[test]
fn cloud_services_ordered_in_the_middle_of_march_cost_half_of_march() {
    confirm("000-hybrid");
}

// "SaaS a month: 50-100 an agent"; agreed: 75. 40 agents, 50 from 16 March 12:00, 45 from 10 April.
// March: 40 x 75 = 3,000; 10 more for half of it: 10 x 75 x 1/2 = 375; together 3,375.00 for 45.
// April: 50 were held when it began, and the five given back count from May on: 50 x 75 = 3,750.00.
// May: 45 x 75 = 3,375.00.
#[test]
fn agents_added_are_paid_for_the_rest_of_the_month_agents_given_back_from_the_next_month_on() {
    confirm("000-saas-by-agent");
}

// "tiers 5,000, 15,000, custom".
#[test]
fn saas_standard_costs_5_000_a_month() {
    confirm("000-saas-standard");
}

// "tiers 5,000, 15,000, custom".
#[test]
fn saas_business_costs_15_000_a_month() {
    confirm("000-saas-business");
}

// "custom"; agreed: 30,000 a month.
#[test]
fn saas_enterprise_costs_what_its_contract_says_as_often_as_it_says() {
    confirm("000-saas-enterprise");
}

// "or base + agent + discovery"; agreed: 1,000 a month, 12 an agent, 0.03 a discovery.
// 30 agents: 30 x 12 = 360.00. 12,345 discoveries: 12,345 x 0.03 = 370.35.
// Together 1,000 + 360 + 370.35 = 1,730.35.
#[test]
fn base_agents_and_discoveries_are_three_lines() {
    confirm("000-saas-by-use");
}

// ---- Minutes [001]

// "Starter 5 a user a month, 100 meetings a month": 7 x 5 = 35.00. The limit blocks, so the 130 meetings
// that were counted all the same cost nothing.
#[test]
fn the_starter_plan_costs_5_a_user_and_meetings_past_the_hundredth_cost_nothing() {
    confirm("001-starter");
}

// Trial of 14 days from 1 March; the anchor is its end, 15 March. 1-15 March: nothing.
// 15 March - 15 April: 7 x 5 = 35.00.
#[test]
fn a_trial_costs_nothing_and_the_first_month_begins_when_it_ends() {
    confirm("001-trial");
}

// "Pro 12": 25 x 12 = 300.00.
#[test]
fn the_pro_plan_costs_12_a_user() {
    confirm("001-pro");
}

// "10% two years": 300 x 0.90 = 270.00.
#[test]
fn two_years_take_ten_per_cent_off() {
    confirm("001-pro-two-years");
}

// "15% three"; a term of five years fulfils both, the longer counts: 300 x 0.85 = 255.00, not 300 x 0.90 x 0.85.
#[test]
fn the_longest_term_counts_alone() {
    confirm("001-pro-five-years");
}

// Three years 15%, non-profit 50%, early adopter 20% (the tenth of the "first ten customers"):
// 300 x 0.85 = 255; x 0.50 = 127.50; x 0.80 = 102.00.
#[test]
fn discounts_multiply_in_the_listed_order() {
    confirm("001-pro-all-discounts");
}

// "non-profit and education 50%": 150.00.
#[test]
fn education_pays_half() {
    confirm("001-pro-education");
}

// 300.00.
#[test]
fn the_eleventh_customer_is_not_early() {
    confirm("001-pro-eleventh-customer");
}

// One user, a second one from 28 February 03:00: 21 of 672 hours are left, 21 / 672 = 1/32.
// 12 + 12 / 32 = 12.375; 1237.5 cents lie between 1237 and 1238: the even one is 1238.
#[test]
fn half_a_cent_goes_to_the_even_cent_above() {
    confirm("001-half-a-cent-up");
}

// The second user from 26 February 09:00: 63 / 672 = 3/32. 12 + 36 / 32 = 13.125; 1312.5 cents: 1312.
#[test]
fn half_a_cent_goes_to_the_even_cent_below() {
    confirm("001-half-a-cent-down");
}

// "Enterprise custom"; agreed: 4,200 a month.
#[test]
fn enterprise_costs_what_its_contract_says() {
    confirm("001-enterprise");
}

// "BYOI: 25 a user a month + 500 a month data plane; premium SLA + 1,000 a month (option)".
// 40 x 25 = 1,000; + 500; + 1,000 = 2,500.00.
#[test]
fn bring_your_own_infrastructure_users_data_plane_and_premium_sla() {
    confirm("001-byoi");
}

// "200 a user a year, at least 50 users; premium support + 10,000 a year; professional services 250 an hour".
// 50 x 200 = 10,000; + 10,000; 12 hours x 250 = 3,000; together 23,000.00.
#[test]
fn thirty_users_pay_for_fifty() {
    confirm("001-self-hosted");
}

// Half off plan and add-on, not off services: 5,000 + 5,000 + 3,000 = 13,000.00.
#[test]
fn services_are_not_discounted_with_the_plan() {
    confirm("001-self-hosted-nonprofit");
}

// 80 users from 31 August 2027: 183 of the 366 days to 1 March 2028 are left (29 February lies among them).
// 50 x 200 = 10,000; (80 - 50) x 200 x 1/2 = 3,000; together 13,000.00 for 65.
#[test]
fn users_above_the_least_number_are_paid_for_the_rest_of_a_leap_year() {
    confirm("001-self-hosted-grows");
}

// ---- Dyocense [002]

// "Starter 49 (1 location)".
#[test]
fn starter_costs_49_a_month() {
    confirm("002-starter");
}

// "Growth 199 (3)".
#[test]
fn growth_costs_199_a_month() {
    confirm("002-growth");
}

// "Business 499 (10)".
#[test]
fn business_costs_499_a_month() {
    confirm("002-business");
}

// "Enterprise from 1,999"; agreed: 2,499.50.
#[test]
fn dyocense_enterprise_costs_what_its_contract_says() {
    confirm("002-enterprise");
}

// Starter until 16 March 12:00, then Growth: 49 / 2 + 199 / 2 = 24.50 + 99.50 = 124.00. April: 199.00.
// (README, assumed rule 1: what was paid on the old plan for the rest of the month is given back.)
#[test]
fn an_upgrade_in_the_middle_of_march_pays_each_plan_for_its_half() {
    confirm("002-upgrade");
}

// 499 / 2 + 49 / 2 = 249.50 + 24.50 = 274.00. (README, assumed rule 1.)
#[test]
fn a_downgrade_in_the_middle_of_march_pays_each_plan_for_its_half() {
    confirm("002-downgrade");
}

// 15.5 of the 31 days of March: 49.00 / 2 = 24.50; the period ends with the subscription.
#[test]
fn who_leaves_in_the_middle_of_the_month_pays_to_that_second() {
    confirm("002-cancelled");
}

// ---- KG RCA [003]

// "Free 0 a month": its limits block.
#[test]
fn free_costs_nothing_whatever_is_used() {
    confirm("003-free");
}

// "Basic 99: 100K [events a day], 1K [queries], 10 GB, 100K [API calls]. Overage: events 0.10 a 1K, queries 0.50, storage 2".
// Events: 150,000 on 1 March, 99,999 on the 2nd, 101,500 on the 3rd: 50,000 + 0 + 1,500 = 51,500 over;
// 51.5 packages x 0.10 = 5.15. Queries: 1,250 - 1,000 = 250 x 0.50 = 125.00.
// Storage: nothing until 11 March, then 25 GB for 21 of 31 days: 25 x 21 / 31 = 16.935483870..., to six
// digits 16.935484; - 10 = 6.935484; x 2 = 13.870968, in cents 13.87. API calls block: nothing.
// 99 + 5.15 + 125 + 13.87 = 243.02.
#[test]
fn basic_with_overage_of_events_queries_and_storage() {
    confirm("003-basic");
}

// "Pro 499: 1M, 10K, 100 GB, 1M. Overage: 0.05, 0.25, 1 a GB".
// 2,500,000 events on one day: 1,500,000 over, 1,500 x 0.05 = 75.00. 10,400 queries: 400 x 0.25 = 100.00.
// 140 GB all month: 40 x 1 = 40.00. 499 + 75 + 100 + 40 = 714.00.
#[test]
fn pro_with_overage_of_events_queries_and_storage() {
    confirm("003-pro");
}

// "Enterprise custom, unlimited"; agreed: 4,000 a month.
#[test]
fn kg_rca_enterprise_costs_what_its_contract_says_without_limits() {
    confirm("003-enterprise");
}

// Basic in Kathmandu (UTC+5:45) from 15 January: the periods run from 15th to 15th, queries count by calendar month.
// 1,200 queries in the last second of January there (18:14:59 UTC): 200 over. January ends in the first period:
// 200 x 0.50 = 100.00; with 99: 199.00. 600 queries a second later and 500 on the 20th are February's 1,100, 100 over,
// with one allowance, though the first 600 lie in the first period: 50.00; with 99: 149.00.
#[test]
fn a_calendar_month_is_billed_with_the_period_in_which_it_ends() {
    confirm("003-a-month-that-two-periods-share");
}

// 1,000 + `twice` (sent twice) + `other` + `late` = 1,003; `wrong` is voided. 3 over x 0.50 = 1.50; with 99: 100.50.
#[test]
fn a_duplicate_counts_once_a_voided_event_not_at_all_a_late_one_as_if_it_had_been_in_time() {
    confirm("003-each-event-counts-once");
}

// Basic until 16 March 12:00, then Pro. Base: 99 / 2 + 499 / 2 = 299.00.
// Queries: 1,400 on Basic, 400 over x 0.50 = 200.00; 9,000 on Pro, none over (README, assumed rules 1 and 3).
#[test]
fn on_a_change_of_plan_each_part_of_the_month_has_the_limits_of_its_plan() {
    confirm("003-change-of-plan");
}

// 150 GB all March; Basic until 16 March 12:00, then Pro (README, assumed rule 2).
// Basic: (150 - 10) x 1/2 = 70 GB-months x 2 = 140.00. Pro: (150 - 100) x 1/2 = 25 x 1 = 25.00.
// Together 95 for 165.00; base 299.00 as above.
#[test]
fn storage_across_a_change_of_plan_costs_each_plan_for_its_part_of_the_month() {
    confirm("003-storage-across-a-change-of-plan");
}

// New York, 14 March 2027 has 23 hours: 05:00 UTC on the 14th to 04:00 UTC on the 15th. 60,000 events at 05:00,
// 60,000 at 03:59:59: 120,000 on one day, 20,000 over: 20 x 0.10 = 2.00. 90,000 at 04:00 belong to the 15th. 101.00.
#[test]
fn days_are_those_of_the_customer_on_the_day_of_the_change_of_clocks_too() {
    confirm("003-days-of-a-zone");
}

// ---- IncidentFox [004]

// "Starter 25,000: 10,000 runs a month. Overage 0.50 a run". January: 25,000 + 300 x 0.50 = 25,150.00.
// February: 10,000 runs, none over: nothing at all.
#[test]
fn incidentfox_starter_a_year_ahead_overage_by_the_month() {
    confirm("004-starter");
}

// "with a hard stop as an option" (SPEC 12): 25,000.00.
#[test]
fn who_asked_to_be_blocked_is_not_charged_past_the_limit() {
    confirm("004-starter-hard-stop");
}

// "Professional 75,000: 50,000": 75,000 + 0.50 = 75,000.50.
#[test]
fn one_run_over_fifty_thousand_costs_half_a_dollar() {
    confirm("004-professional");
}

// "Enterprise from 200,000"; agreed: 200,000. January 250,000 runs: 50,000 over. February to November 100,000 each: none.
// December 200,001: 1 over. Nothing of it is billed before the year ends; December's invoice, the last of the year:
// 50,001 x 0.50 = 25,000.50.
#[test]
fn enterprise_trues_up_when_its_year_ends() {
    confirm("004-enterprise");
}

// "Services: custom MCP 15,000, custom agent 25,000, air-gapped assistance 10,000, training 20,000 a year".
// 200,000 + 2 x 15,000 + 25,000 + 10,000 + 20,000 = 285,000.00.
#[test]
fn services_and_training_beside_enterprise() {
    confirm("004-enterprise-with-services");
}

// "Enterprise Plus custom: unlimited"; agreed: 350,000 a year.
#[test]
fn enterprise_plus_costs_what_its_contract_says() {
    confirm("004-enterprise-plus");
}

// "Consumption model: 1.00 a run, above 10k a month 0.75, above 50k 0.50".
// January, 62,000: 10,000 x 1 + 40,000 x 0.75 + 12,000 x 0.50 = 10,000 + 30,000 + 6,000 = 46,000.00.
// February, 10,001: 10,000 + 0.75 = 10,000.75. In December nothing is missing from the 10,000 of the year.
#[test]
fn runs_are_priced_in_tiers_that_begin_anew_each_month() {
    confirm("004-consumption");
}

// "at least 10,000 a year". 500 runs a month: 500.00 in each, 12 x 500 = 6,000 in the year; 10,000 - 6,000 = 4,000
// are missing. December: 500 + 4,000 = 4,500.00.
#[test]
fn what_is_missing_from_the_yearly_minimum_is_a_line_when_the_year_ends() {
    confirm("004-consumption-minimum");
}

// "Seat model: 500 a team a month, unlimited runs": 8 x 500 = 4,000.00.
#[test]
fn the_seat_model_costs_500_a_team() {
    confirm("004-seats");
}

// "annual prepay -20%". The invoice period is the year, twelve months fall due in it: 8 x 12 = 96 x 500 = 48,000; x 0.80 = 38,400.00.
#[test]
fn a_year_of_seats_paid_ahead_costs_a_fifth_less() {
    confirm("004-seats-prepaid");
}

// ---- Forms of price that none of the five uses

// 12 users: 10 x 20 + 2 x 15 = 230.00.
#[test]
fn seats_become_cheaper_with_their_number() {
    confirm("parcel-seats-in-tiers");
}

// 120 users: 10 x 20 + 110 x 15 = 1,850; x 0.95 = 1,757.50; x 0.975 = 1,713.5625; rounded once: 1,713.56.
#[test]
fn volume_and_prepayment_multiply() {
    confirm("parcel-volume-and-prepaid");
}

// 10 x 20 + 90 x 15 = 1,550.00.
#[test]
fn a_hundred_users_are_not_more_than_a_hundred() {
    confirm("parcel-volume-not-reached");
}

// 1,000 included + 2 x 500 by add-on (2 x 3 = 6.00). 3,001 scans: 1,001 over, two packages started: 2 x 0.80 = 1.60.
// 10 + 6 + 1.60 = 17.60.
#[test]
fn a_started_package_is_charged_whole_and_an_add_on_raises_the_limit() {
    confirm("parcel-started-package");
}

// Weight: 1.5 + 2.25 + 0.000001 = 3.750001 kg x 0.10 = 0.3750001, in cents 0.38. Vans: peaks of 3 and 2 on two days, 5 x 7 = 35.00.
// Queue: at the same last moment 4 and 9 were told, the larger counts: 9 x 1 = 9.00. Riders: a, b on one day, a on another:
// 2 + 1 = 3 x 2 = 6.00. The gate was not ordered. 0.38 + 35 + 9 + 6 = 50.38.
#[test]
fn sum_peak_latest_and_different_members() {
    confirm("parcel-every-kind-of-meter");
}

// March: 40 + 25 over 10 scans x 1 = 65; 35 are missing from 100. April: 40 + 90 = 130: none is missing.
#[test]
fn a_monthly_minimum_is_filled_up_each_month() {
    confirm("parcel-monthly-minimum");
}

// A friend (10% off plan, services and overage), with a contract: base 8, 2,000 scans included, 0.50 a package, 25% off `base`.
// Base: 8 x 0.90 = 7.20 x 0.75 = 5.40. 4,500 scans: 2,500 over, three packages x 0.50 = 1.50 x 0.90 = 1.35.
// Set-up of 3 hours: 750 x 0.90 = 675.00. 5.40 + 1.35 + 675 = 681.75.
#[test]
fn a_contract_changes_prices_limits_and_discounts_after_those_of_the_list() {
    confirm("parcel-contract");
}

// ---- all together

#[test]
fn every_stored_case_has_a_test_that_tells_its_arithmetic() {
    let stored: BTreeSet<String> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
    let told: BTreeSet<String> = include_str!("golden.rs")
        .split("confirm(\"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("\");")?.0.to_owned()))
        .collect();
    assert_eq!(stored, told);
}

#[test]
fn a_price_on_request_is_refused_until_a_contract_says_it() {
    for id in ["001-enterprise", "003-enterprise", "004-enterprise", "000-saas-by-agent"] {
        let mut case = case(id);
        case.input.subscription.contracts.clear();
        let refused = rate(&case.input, 0);
        assert_eq!(refused, Err(tenure_rerater::Error::NeedsContract("base".into())), "{id}");
    }
}
