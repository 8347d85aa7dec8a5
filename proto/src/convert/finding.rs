//! Findings of `status`: what may be wrong with a federation, in words for people and names for programs.
//!
//! Must hold: one table with both languages, so that no finding exists in one only; what a member says about itself
//! passes on only as a name of this table with values of the form that the table wants, never as words of its own.

use crate::v1;
use crate::v1::status::Severity;
use sekisho_types::error_code::Language;
use std::collections::BTreeMap;

/// Longest value inside a finding, bytes: a name or a number.
const VALUE_MAX: usize = 160;

/// Conditions of one member about itself in one message: there are not more of them.
pub const OWN_MAX: usize = 8;

macro_rules! conditions {
    ($($variant:ident = $code:literal, $command:literal, $en:literal, $ja:literal;)+) => {
        /// What can be found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Condition {
            $(#[doc = $en] $variant,)+
        }

        impl Condition {
            /// Every condition, in the order in which equals are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its stable name.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The command that helps, with the values' names in braces; empty where none does.
            fn command(self) -> &'static str {
                match self {
                    $(Self::$variant => $command,)+
                }
            }

            /// Its words, with the values' names in braces.
            fn words(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$variant, Language::En) => $en,
                    (Self::$variant, Language::Ja) => $ja,)+
                }
            }
        }
    };
}

conditions! {
    NoLeader = "NO_LEADER", "sekisho member list",
        "no leader is known: nothing can be written",
        "リーダーが不明です。書き込みはできません";
    UnprovenBytes = "UNPROVEN_BYTES", "sekisho member list",
        "{member} has sent {bytes} bytes to peers that are no members in its state (D3): stop it and find out to whom",
        "{member} は状態上メンバーではない相手に {bytes} バイトを送信しました (D3)。停止して送信先を調べてください";
    AuditFork = "AUDIT_FORK", "sekisho audit export audit.bundle",
        "member {other} signed an audit log that is not {member}'s (A1): keep all members as they are, verify an export of each, then remove the one that differs",
        "メンバー {other} は {member} と異なる監査ログに署名しました (A1)。全メンバーを保全し、各エクスポートを検証してから、異なるメンバーを外してください";
    CountersignContradicts = "COUNTERSIGN_CONTRADICTS", "sekisho node get {node}",
        "{node} says that it was shown an audit head which this log never had (A1)",
        "{node} は、この監査ログに存在しない先頭を提示されたと申告しています (A1)";
    CountersignsContradict = "COUNTERSIGNS_CONTRADICT", "sekisho node list --site {site}",
        "{count} nodes of site {site} say that they were shown audit heads which this log never had (A1)",
        "拠点 {site} のノード {count} 台が、この監査ログに存在しない先頭を提示されたと申告しています (A1)";
    BreakGlassOpen = "BREAK_GLASS_OPEN", "sekisho break-glass list",
        "{by} broke the glass until {until}: {reason} ({uses} uses); end it: sekisho break-glass end {revision}",
        "{by} が {until} まで緊急権限を使用中: {reason} (実行 {uses} 件)。終了: sekisho break-glass end {revision}";
    EvictionOverdue = "EVICTION_OVERDUE", "sekisho policy status",
        "{node} has {count} placements that the rules in force refuse; they should have stopped {seconds} s ago (D1)",
        "{node} に現行の規則が認めない配置が {count} 件あります。{seconds} 秒前に停止しているはずでした (D1)";
    EvictionsOverdue = "EVICTIONS_OVERDUE", "sekisho policy status",
        "{count} nodes of site {site} have placements that the rules in force refuse and that should have stopped (D1)",
        "拠点 {site} のノード {count} 台に、停止しているはずの、現行の規則が認めない配置があります (D1)";
    MemberSilent = "MEMBER_SILENT", "sekisho member list",
        "{member} does not answer; {left} of {voters} voters do",
        "{member} が応答しません。応答している投票者は {voters} のうち {left} です";
    QuorumStopper = "QUORUM_STOPPER", "sekisho member list",
        "{operator} can stop the quorum alone",
        "{operator} は単独で定足数を止められます";
    MemberLags = "MEMBER_LAGS", "sekisho member list",
        "{member} is {entries} entries behind",
        "{member} は {entries} エントリー遅れています";
    MemberSiteRevoked = "MEMBER_SITE_REVOKED", "sekisho member list",
        "{member} stands at site {site}, which was revoked: remove it",
        "{member} は取り消された拠点 {site} にあります。メンバーから外してください";
    SiteSilent = "SITE_SILENT", "sekisho site get {site}",
        "no controller of site {site} answers",
        "拠点 {site} のコントローラーが一つも応答しません";
    NodeUnreachable = "NODE_UNREACHABLE", "sekisho node get {node}",
        "{node} was not heard for {seconds} s; what it runs is free in {left} s at the latest",
        "{node} は {seconds} 秒間応答しません。実行中のものは遅くとも {left} 秒後に解放されます";
    NodesUnreachable = "NODES_UNREACHABLE", "sekisho node list --site {site}",
        "{count} nodes of site {site} were not heard; what they run is free in {left} s at the latest",
        "拠点 {site} のノード {count} 台が応答しません。実行中のものは遅くとも {left} 秒後に解放されます";
    NodeLost = "NODE_LOST", "sekisho node get {node}",
        "{node} is lost: its lease ended",
        "{node} を失いました。リースは終了しています";
    NodesLost = "NODES_LOST", "sekisho node list --site {site}",
        "{count} nodes of site {site} are lost: their leases ended",
        "拠点 {site} のノード {count} 台を失いました。リースは終了しています";
    NodeQuarantined = "NODE_QUARANTINED", "sekisho node release {node} --yes",
        "two hosts claim to be {node}: both stop; take the copy away, then release the node",
        "{node} を名乗るホストが2台あり、両方を停止しています。複製を取り除いてから隔離を解除してください";
    NodesQuarantined = "NODES_QUARANTINED", "sekisho node list --site {site}",
        "{count} nodes of site {site} have two hosts each and are in quarantine",
        "拠点 {site} のノード {count} 台にホストが2台ずつあり、隔離されています";
    LocationInconsistent = "LOCATION_INCONSISTENT", "sekisho node get {node}",
        "what {landmarks} measured of {node} cannot be true: one of them, or its tag, is wrong",
        "{landmarks} による {node} の測定結果は矛盾しています。いずれか、または拠点タグが誤っています";
    LocationsInconsistent = "LOCATIONS_INCONSISTENT", "sekisho node list --site {site}",
        "what landmarks measured of {count} nodes of site {site} cannot be true",
        "拠点 {site} のノード {count} 台の測定結果が矛盾しています";
    LandmarkConvicted = "LANDMARK_CONVICTED", "sekisho landmark get {landmark}",
        "landmark {landmark} was taken out: it contradicts {landmarks}; {operator} has to find out why",
        "ランドマーク {landmark} は {landmarks} と矛盾するため除外されました。{operator} が原因を調べてください";
    LandmarksContradict = "LANDMARKS_CONTRADICT", "sekisho landmark get {landmark}",
        "{landmark} and {other} are nearer to each other than both can be where they are registered",
        "{landmark} と {other} の距離は、登録された位置では不可能な近さです";
    TagEnds = "TAG_ENDS", "sekisho node get {node}",
        "the site tag of {node} ends at {at}",
        "{node} の拠点タグは {at} に切れます";
    TagsEnd = "TAGS_END", "sekisho node list --site {site}",
        "the site tags of {count} nodes of site {site} end soon",
        "拠点 {site} のノード {count} 台の拠点タグがまもなく切れます";
    ClockAhead = "CLOCK_AHEAD", "timedatectl",
        "the state clock is {seconds} s ahead of {member}'s clock",
        "状態の時計が {member} の時計より {seconds} 秒進んでいます";
    ClockBehind = "CLOCK_BEHIND", "sekisho member list",
        "the state clock is {seconds} s behind {member}'s clock",
        "状態の時計が {member} の時計より {seconds} 秒遅れています";
    CertificateEnds = "CERTIFICATE_ENDS", "sekisho pki show",
        "the certificate of {member} ends at {at}",
        "{member} の証明書は {at} に切れます";
    CheckpointLags = "CHECKPOINT_LAGS", "sekisho member list",
        "{records} audit records wait for {k} operators' signatures since {seconds} s",
        "監査記録 {records} 件が {k} 事業者の署名を {seconds} 秒待っています";
    CheckpointNone = "CHECKPOINT_NONE", "sekisho member list",
        "no checkpoint of {k} operators is known; {records} audit records wait for it",
        "{k} 事業者の署名したチェックポイントがまだありません。監査記録 {records} 件が待っています";
    SignerMissing = "SIGNER_MISSING", "sekisho member list",
        "{operator} signs no checkpoints; {left} of {operators} do, {k} needed",
        "{operator} がチェックポイントに署名していません。署名中 {left}/{operators}、必要 {k}";
    SignerProblem = "SIGNER_PROBLEM", "sekisho member list",
        "{member} signs nothing: {problem}",
        "{member} は署名していません: {problem}";
    SingleSigner = "SINGLE_SIGNER", "",
        "a single operator signs: it alone could start work",
        "署名者が1事業者だけです。その事業者だけで作業を開始できてしまいます";
    TwoOperators = "TWO_OPERATORS", "",
        "two operators: an outage of either stops every job but run_to_completion",
        "事業者が2社です。一方が止まると run_to_completion 以外の全ジョブが止まります";
    DiskLow = "DISK_LOW", "df -h",
        "{member} has {free} MiB of its disk left ({percent} %)",
        "{member} のディスクの空きは {free} MiB ({percent} %) です";
    Overloaded = "OVERLOADED", "sekisho job list",
        "{member} sheds load: {load} % of what may be in flight is",
        "{member} は過負荷で要求を断っています。処理中の量は上限の {load} % です";
    NodePending = "NODE_PENDING", "sekisho node list --pending",
        "{node} has joined and waits for approval: compare its key",
        "{node} は参加し、承認を待っています。鍵を照合してください";
    NodesPending = "NODES_PENDING", "sekisho node list --pending",
        "{count} nodes of site {site} have joined and wait for approval",
        "拠点 {site} のノード {count} 台が参加し、承認を待っています";
    NodeUnfit = "NODE_UNFIT", "sekisho node get {node}",
        "{node} does not pass its own checks: {checks}",
        "{node} は自己点検に合格していません: {checks}";
    NodesUnfit = "NODES_UNFIT", "sekisho node list --site {site} -o wide",
        "{count} nodes of site {site} do not pass their own checks",
        "拠点 {site} のノード {count} 台が自己点検に合格していません";
    NodeDrains = "NODE_DRAINS", "sekisho node drain {node} --monitor",
        "{node} is being drained: {count} placements are left",
        "{node} は退避中です。残りの配置は {count} 件です";
    NodesDrain = "NODES_DRAIN", "sekisho node list --site {site}",
        "{count} nodes of site {site} are being drained or are empty",
        "拠点 {site} のノード {count} 台が退避中、または退避済みです";
    NodeDrained = "NODE_DRAINED", "sekisho node undrain {node}",
        "{node} is drained: nothing is left on it, and nothing comes",
        "{node} は退避済みです。残りの配置はなく、新しい配置も行われません";
    DrainOverdue = "DRAIN_OVERDUE", "sekisho node get {node}",
        "{node} should have been empty at {at}: {count} placements are not confirmed dead",
        "{node} は {at} に空になるはずでした。終了を確認できない配置が {count} 件あります";
    ServiceShort = "SERVICE_SHORT", "sekisho job list --filter 'short = true'",
        "services with fewer replicas running than they have: {count}; what each waits for: sekisho job explain NAME",
        "実行中のレプリカが指定の数に足りないサービスが {count} 件あります。待っている理由: sekisho job explain NAME";
    ApprovalsWait = "APPROVALS_WAIT", "sekisho approval list",
        "{count} changes wait for the signature of another operator",
        "他の事業者の署名を待っている変更が {count} 件あります";
    Well = "WELL", "",
        "all members, signers and nodes are well",
        "全メンバー、署名者、ノードは正常です";
}

impl Condition {
    /// What a member may say of itself; it names itself as `member`.
    const OWN: [Self; 5] = [
        Self::UnprovenBytes,
        Self::CertificateEnds,
        Self::DiskLow,
        Self::Overloaded,
        Self::AuditFork,
    ];

    /// The condition of a name.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|condition| condition.code() == code)
    }

    /// Names of the values in its words and command.
    fn values(self) -> impl Iterator<Item = &'static str> {
        let after = |text: &'static str| text.split('{').skip(1);
        after(self.words(Language::En))
            .chain(after(self.command()))
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
    }
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub condition: Condition,
    /// Values that its words name.
    pub args: BTreeMap<String, String>,
}

fn fill(template: &str, args: &BTreeMap<String, String>) -> String {
    let mut parts = template.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        text.push_str(args.get(name).map_or("?", String::as_str));
        text.push_str(rest);
    }
    text
}

impl Finding {
    /// A finding without values.
    #[must_use]
    pub fn new(severity: Severity, condition: Condition) -> Self {
        Self { severity, condition, args: BTreeMap::new() }
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.args.insert(name.to_owned(), value.to_string());
        self
    }

    /// Its words.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        fill(self.condition.words(language), &self.args)
    }

    /// The command that helps; empty if none does.
    #[must_use]
    pub fn command(&self) -> String {
        fill(self.condition.command(), &self.args)
    }

    /// As a member tells it of itself.
    #[must_use]
    pub fn own(&self) -> crate::internal::v1::Condition {
        crate::internal::v1::Condition {
            severity: self.severity.into(),
            code: self.condition.code().to_owned(),
            args: self.args.clone().into_iter().collect(),
        }
    }

    /// What `member` told of itself; `None` for anything that a member has no business to say.
    #[must_use]
    pub fn of_member(told: &crate::internal::v1::Condition, member: &str) -> Option<Self> {
        let condition = Condition::parse(&told.code).filter(|c| Condition::OWN.contains(c))?;
        let severity = Severity::try_from(told.severity).ok()?;
        if !matches!(severity, Severity::Warn | Severity::Bad) {
            return None;
        }
        let mut finding = Self::new(severity, condition);
        for name in condition.values().filter(|name| *name != "member") {
            let value = told.args.get(name)?;
            let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:.".contains(&b));
            if value.is_empty() || value.len() > VALUE_MAX || !plain {
                return None;
            }
            finding = finding.with(name, value);
        }
        Some(finding.with("member", member))
    }
}

impl From<&Finding> for v1::status::Finding {
    fn from(finding: &Finding) -> Self {
        Self {
            severity: finding.severity.into(),
            what: finding.words(Language::En),
            command: finding.command(),
            code: finding.condition.code().to_owned(),
            args: finding.args.clone().into_iter().collect(),
        }
    }
}

/// The words and the command of a finding, for people. What this program does not know, or knows with other values,
/// is shown as the server says it.
#[must_use]
pub fn shown(message: &v1::status::Finding, language: Language) -> (String, String) {
    let condition = Condition::parse(&message.code)
        .filter(|condition| condition.values().all(|name| message.args.contains_key(name)));
    let Some(condition) = condition else {
        return (message.what.clone(), message.command.clone());
    };
    let args = message.args.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let finding = Finding { severity: message.severity(), condition, args };
    (finding.words(language), finding.command())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect()
    }

    #[test]
    fn both_languages_name_the_same_values_and_names_are_unique() {
        let codes: BTreeSet<&str> = Condition::ALL.iter().map(|c| c.code()).collect();
        assert_eq!(codes.len(), Condition::ALL.len());
        for condition in Condition::ALL {
            let (en, ja) = (condition.words(Language::En), condition.words(Language::Ja));
            assert_eq!(names(en), names(ja), "{condition:?}");
            assert!(names(condition.command()).is_subset(&names(en)), "{condition:?}");
            assert!(!ja.is_ascii() && en.is_ascii(), "{condition:?}");
            assert_eq!(Condition::parse(condition.code()), Some(*condition));
        }
        assert_eq!(Condition::parse("WHAT"), None);
    }

    #[test]
    fn a_finding_is_shown_in_the_readers_language_or_in_the_servers_words() {
        let found = Finding::new(Severity::Warn, Condition::NodeLost).with("node", "tokyo-1/n-01");
        let message = v1::status::Finding::from(&found);
        assert_eq!(message.what, "tokyo-1/n-01 is lost: its lease ended");
        let (ja, command) = shown(&message, Language::Ja);
        assert!(ja.starts_with("tokyo-1/n-01 を失いました"), "{ja}");
        assert_eq!(command, "sekisho node get tokyo-1/n-01");
        for strange in [
            v1::status::Finding { code: "FROM_THE_FUTURE".into(), ..message.clone() },
            v1::status::Finding { args: Default::default(), ..message.clone() },
        ] {
            assert_eq!(shown(&strange, Language::Ja).0, message.what);
        }
    }

    #[test]
    fn a_member_speaks_of_itself_only_and_only_in_the_tables_words() {
        let low =
            Finding::new(Severity::Bad, Condition::DiskLow).with("free", 12).with("percent", 1);
        let told = low.own();
        let heard = Finding::of_member(&told, "members/3").unwrap();
        assert_eq!(heard.words(Language::En), "members/3 has 12 MiB of its disk left (1 %)");
        let refused = |change: &dyn Fn(&mut crate::internal::v1::Condition)| {
            let mut told = told.clone();
            change(&mut told);
            Finding::of_member(&told, "members/3").is_none()
        };
        assert!(refused(&|told| told.code = "NO_LEADER".into()));
        assert!(refused(&|told| told.code = "NEVER_HEARD".into()));
        assert!(refused(&|told| told.severity = 1));
        assert!(refused(&|told| told.severity = 77));
        assert!(refused(&|told| drop(told.args.remove("free"))));
        for bad in ["", "1\u{1b}[2J", "twelve of", &"1".repeat(VALUE_MAX + 1)] {
            assert!(refused(&|told| drop(told.args.insert("free".into(), bad.into()))), "{bad}");
        }
        // Another's name is not its to give.
        let mut liar = told.clone();
        liar.args.insert("member".into(), "members/1".into());
        let heard = Finding::of_member(&liar, "members/3").unwrap();
        assert_eq!(heard.args["member"], "members/3");
    }
}
