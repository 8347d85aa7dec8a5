//! Every verb, for every role, on every kind of target, held to a table that was written by hand from design section 10 and
//! from the API. It computes nothing: whoever adds a verb has to write down who may do it.

use super::*;

/// Everything: the federation, something of one's own or of another operator, one's own or another tenant.
const ALL: &str = "F o x t u";
/// Something of one's own operator.
const OWN: &str = "o";
/// One's own tenant.
const TENANT: &str = "t";
const NONE: &str = "";

/// What a verb may be done to, by role: federation-admin, operator-admin, tenant-admin, tenant-user, auditor, monitor,
/// archivist, agent, member. And how it has to be signed.
#[rustfmt::skip]
fn due(verb: Verb) -> ([&'static str; 9], Signed) {
    use Signed::{Caller, No};
    const TWO: Signed = Signed::Operators(2);
    match verb {
        //                            fed   op    t-adm   t-user  audit monit archi agent member
        Verb::ReadStatus =>        ([ALL,  ALL,  ALL,    ALL,    ALL,  ALL,  NONE, NONE, NONE], No),
        Verb::ReadFederation =>    ([ALL,  ALL,  ALL,    ALL,    ALL,  NONE, NONE, NONE, NONE], No),
        Verb::ReadTenant =>        ([ALL,  NONE, TENANT, TENANT, ALL,  NONE, NONE, NONE, NONE], No),
        Verb::ReadAudit =>         ([ALL,  NONE, NONE,   NONE,   ALL,  NONE, NONE, NONE, NONE], No),
        Verb::CreateSite =>        ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], TWO),
        Verb::RevokeSite =>        ([ALL,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::RegisterKey =>       ([ALL,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::RevokeKey =>         ([ALL,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::CreateToken =>       ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::Cordon =>            ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::RevokeNode =>        ([ALL,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::CreateTenant =>      ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::UpdateTenant =>      ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], TWO),
        Verb::PutPolicy =>         ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], TWO),
        Verb::SetQuota =>          ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], TWO),
        Verb::SubmitJob =>         ([NONE, NONE, TENANT, TENANT, NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::CancelJob =>         ([NONE, NONE, TENANT, TENANT, NONE, NONE, NONE, NONE, NONE], No),
        Verb::ReadLogs =>          ([NONE, NONE, TENANT, TENANT, NONE, NONE, NONE, NONE, NONE], No),
        Verb::ChangeBundle =>      ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::ChangeMembers =>     ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], TWO),
        Verb::TransferLeader =>    ([ALL,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::SaveSnapshot =>      ([NONE, NONE, NONE,   NONE,   NONE, NONE, OWN,  NONE, NONE], No),
        Verb::Drain =>             ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::Undrain =>           ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::ApproveNode =>       ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::Decommission =>      ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::ReleaseNode =>       ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::RegisterLandmark =>  ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::RemoveLandmark =>    ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::ProveNode =>         ([ALL,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::ReadFix =>           ([ALL,  OWN,  NONE,   NONE,   ALL,  NONE, NONE, NONE, NONE], No),
        Verb::UpdateSite =>        ([ALL,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::DeletePolicy =>      ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::DeleteTenant =>      ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::Uncordon =>          ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::ReadApprovals =>     ([ALL,  NONE, NONE,   NONE,   ALL,  NONE, NONE, NONE, NONE], No),
        Verb::BreakGlass =>        ([ALL,  ALL,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::EndBreakGlass =>     ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::RegisterAdmin =>     ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], TWO),
        Verb::SetBudget =>         ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], TWO),
        Verb::SetEscrow =>         ([ALL,  NONE, NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::PutOffer =>          ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::WithdrawOffer =>     ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::Veto =>              ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], No),
        Verb::LiftVeto =>          ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::ReadVetoes =>        ([ALL,  OWN,  NONE,   NONE,   ALL,  NONE, NONE, NONE, NONE], No),
        Verb::PutReservation =>    ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::DeleteReservation => ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
        Verb::ReadReservations =>  ([ALL,  OWN,  TENANT, TENANT, ALL,  NONE, NONE, NONE, NONE], No),
        Verb::SetPowerCap =>       ([OWN,  OWN,  NONE,   NONE,   NONE, NONE, NONE, NONE, NONE], Caller),
    }
}

/// Verbs that an open break-glass allows an administrator, whatever they are done to.
const BY_GLASS: [Verb; 5] =
    [Verb::RevokeSite, Verb::Cordon, Verb::RevokeNode, Verb::CancelJob, Verb::Drain];

/// The roles of a principal of `kanto`, in the order of [`due`].
pub(super) fn roles() -> [Role; 9] {
    let tenant: TenantId = "sapporo".parse().unwrap();
    [
        Role::FederationAdmin,
        Role::OperatorAdmin,
        Role::TenantAdmin(tenant.clone()),
        Role::TenantUser(tenant),
        Role::Auditor,
        Role::Monitor,
        Role::Archivist("tokyo-1".parse().unwrap()),
        Role::Agent,
        Role::Member,
    ]
}

#[test]
fn every_cell_of_the_table_is_as_it_was_written_by_hand() {
    let (own, other): (OperatorId, OperatorId) =
        ("kanto".parse().unwrap(), "naniwa".parse().unwrap());
    let (mine, theirs): (TenantId, TenantId) =
        ("sapporo".parse().unwrap(), "osaka".parse().unwrap());
    let targets = [
        ('F', Target::Federation),
        ('o', Target::Operator(&own)),
        ('x', Target::Operator(&other)),
        ('t', Target::Tenant(&mine)),
        ('u', Target::Tenant(&theirs)),
    ];
    let (mut cells, mut allowed) = (0_usize, 0_usize);
    for verb in Verb::ALL {
        let (by_role, signed) = due(verb);
        assert_eq!(signing(verb), signed, "{verb:?}");
        for (role, due) in roles().iter().zip(by_role) {
            for (sign, target) in targets {
                let may = allows(role, &own, verb, target);
                assert_eq!(may, due.contains(sign), "{verb:?} {role} {target:?}");
                (cells, allowed) = (cells + 1, allowed + usize::from(may));
            }
        }
    }
    let (verbs, roles, targets) = (Verb::ALL.len(), roles().len(), targets.len());
    println!("cells: {verbs} verbs x {roles} roles x {targets} targets = {cells}, {allowed} allow");
    assert_eq!(cells, verbs * roles * targets);
}

#[test]
fn no_verb_is_missing_among_all_of_them() {
    let numbers: Vec<usize> = Verb::ALL.iter().map(|verb| *verb as usize).collect();
    assert_eq!(numbers, (0..Verb::ALL.len()).collect::<Vec<_>>());
    // The last one of the enum: a verb behind it would be in no test.
    assert_eq!(Verb::ALL.last(), Some(&Verb::SetPowerCap));
}

#[test]
fn a_break_glass_stops_and_narrows_and_nothing_else() {
    let allowed: Vec<Verb> = Verb::ALL.into_iter().filter(|verb| by_glass(*verb)).collect();
    assert_eq!(allowed, BY_GLASS);
    // What has to be signed by somebody else, or more than the caller's word, is none of it.
    assert!(allowed.iter().all(|verb| !matches!(signing(*verb), Signed::Operators(_))));
}
