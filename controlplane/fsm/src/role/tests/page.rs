//! `docs/roles.md`: the table of roles for people.

use super::table::roles;
use super::*;
use std::fmt::Write as _;

/// A verb in words, in English and Japanese.
fn words(verb: Verb) -> (&'static str, &'static str) {
    match verb {
        Verb::ReadStatus => ("read health and membership", "状態とメンバーの閲覧"),
        Verb::ReadFederation => {
            ("read sites, nodes, policies and keys", "拠点・ノード・ポリシー・鍵の閲覧")
        }
        Verb::ReadTenant => ("read a tenant, its quota and jobs", "テナントと割当枠・ジョブの閲覧"),
        Verb::ReadAudit => ("read and export the audit log", "監査ログの閲覧と書き出し"),
        Verb::CreateSite => ("register a site", "拠点の登録"),
        Verb::RevokeSite => ("take a site out for good", "拠点の失効"),
        Verb::RegisterKey => ("bind a key and role to a principal", "鍵と役割の登録"),
        Verb::RevokeKey => ("take a key back", "鍵の失効"),
        Verb::CreateToken => ("make a join token", "参加トークンの作成"),
        Verb::Cordon => ("cordon a node", "ノードへの新規配置の停止"),
        Verb::RevokeNode => ("take a node out for good", "ノードの失効"),
        Verb::CreateTenant => ("create a tenant", "テナントの作成"),
        Verb::UpdateTenant => ("change a tenant", "テナントの変更"),
        Verb::PutPolicy => ("create or change a policy", "ポリシーの作成と変更"),
        Verb::SetQuota => ("set a quota", "割当枠の設定"),
        Verb::SubmitJob => ("submit a job", "ジョブの投入"),
        Verb::CancelJob => ("cancel a job", "ジョブの取り消し"),
        Verb::ReadLogs => ("read a job's output", "ジョブ出力の閲覧"),
        Verb::ChangeBundle => {
            ("add or remove a controller or a company", "コントローラーや事業者の追加と除外")
        }
        Verb::ChangeMembers => {
            ("promote, demote or move a controller", "コントローラーの昇格・降格・移動")
        }
        Verb::TransferLeader => ("have another member lead", "リーダーの交代"),
        Verb::SaveSnapshot => ("take a sealed backup", "封緘バックアップの取得"),
        Verb::Drain => ("empty a node", "ノードの退避"),
        Verb::Undrain => ("call a drain off", "退避の取り消し"),
        Verb::ApproveNode => ("approve a node that has joined", "参加したノードの承認"),
        Verb::Decommission => ("take an empty node out", "空のノードの撤去"),
        Verb::ReleaseNode => ("end a node's quarantine", "ノードの隔離解除"),
        Verb::RegisterLandmark => ("register a landmark", "ランドマークの登録"),
        Verb::RemoveLandmark => ("remove a landmark", "ランドマークの除外"),
        Verb::ProveNode => ("have a node measured", "ノードの測位の要求"),
        Verb::ReadFix => ("read the transcripts of a fix", "測位記録の閲覧"),
        Verb::UpdateSite => ("rename a site", "拠点の表示名の変更"),
        Verb::DeletePolicy => ("delete an unused policy", "使われていないポリシーの削除"),
        Verb::DeleteTenant => ("delete an idle tenant", "使われていないテナントの削除"),
        Verb::Uncordon => ("uncordon a node", "ノードへの新規配置の再開"),
        Verb::ReadApprovals => ("read approvals", "承認の閲覧"),
        Verb::BreakGlass => ("break the glass", "緊急権限の開始"),
        Verb::RegisterAdmin => ("bind a federation-admin's key", "連合管理者の鍵の登録"),
        Verb::SetBudget => ("set a budget", "予算の設定"),
        Verb::SetEscrow => ("have a site hold a slice of a quota", "割当枠の拠点への預託"),
        Verb::PutOffer => ("offer devices of a site", "拠点のデバイスの提供"),
        Verb::WithdrawOffer => ("withdraw an offer", "提供の取り下げ"),
        Verb::Veto => ("veto a tenant or a job", "テナントやジョブの拒否"),
        Verb::LiftVeto => ("take a veto back", "拒否の取り消し"),
        Verb::ReadVetoes => ("read vetoes", "拒否の閲覧"),
        Verb::PutReservation => ("reserve devices for a tenant", "テナントのためのデバイスの予約"),
        Verb::DeleteReservation => ("take a reservation out", "予約の削除"),
        Verb::ReadReservations => ("read reservations", "予約の閲覧"),
        Verb::SetPowerCap => ("cap the power of a site", "拠点の電力上限の設定"),
        Verb::EndBreakGlass => ("end somebody else's break-glass", "他者の緊急権限の終了"),
    }
}

/// What a role may do it to, in a word.
fn cell(role: &Role, verb: Verb) -> &'static str {
    let (own, other): (OperatorId, OperatorId) =
        ("kanto".parse().unwrap(), "naniwa".parse().unwrap());
    let (mine, theirs): (TenantId, TenantId) =
        ("sapporo".parse().unwrap(), "osaka".parse().unwrap());
    let may = |target| allows(role, &own, verb, target);
    let [federation, own, other, mine, theirs] = [
        may(Target::Federation),
        may(Target::Operator(&own)),
        may(Target::Operator(&other)),
        may(Target::Tenant(&mine)),
        may(Target::Tenant(&theirs)),
    ];
    match (federation, own, other, mine, theirs) {
        (true, true, true, true, true) => "all",
        (false, true, false, false, false) => "own",
        (false, false, false, true, false) => "tenant",
        (false, false, false, false, false) => "–",
        other => panic!("no word for {other:?} of {verb:?}"),
    }
}

fn page() -> String {
    let names = ["federation-admin", "operator-admin", "tenant-admin", "tenant-user", "auditor"];
    let names = names.iter().chain(&["monitor", "archivist", "agent", "member"]);
    let names = names.map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut page = format!("\n| verb | | signed by | {} | break-glass |\n", names.join(" | "));
    writeln!(page, "|---|---|---|{}---|", "---|".repeat(names.len())).unwrap();
    for verb in Verb::ALL {
        let signed = match signing(verb) {
            Signed::No => "–".to_owned(),
            Signed::Caller => "caller".to_owned(),
            Signed::Operators(n) => format!("{n} operators"),
        };
        let cells = roles().iter().map(|role| cell(role, verb)).collect::<Vec<_>>().join(" | ");
        let glass = if by_glass(verb) { "all" } else { "–" };
        let (en, ja) = words(verb);
        writeln!(page, "| `{verb:?}` | {en}<br>{ja} | {signed} | {cells} | {glass} |").unwrap();
    }
    page
}

const MARK: &str =
    "<!-- from here on made from controlplane/fsm/src/role.rs: SEKISHO_GOLDEN=write -->\n";

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the page lies beside the crate, and its test alone reads and writes it"
)]
fn the_page_tells_the_table_as_the_code_has_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/roles.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (head, made) = text.split_once(MARK).expect("the mark stands in the page");
    if std::env::var("SEKISHO_GOLDEN").is_ok_and(|what| what == "write") {
        std::fs::write(path, format!("{head}{MARK}{}", page())).unwrap();
        return;
    }
    assert!(made == page(), "write docs/roles.md anew: SEKISHO_GOLDEN=write");
}
