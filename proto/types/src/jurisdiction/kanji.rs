//! Characters that are written in more than one way in names of places: old forms (旧字体) and common variants (異体字).
//!
//! Must hold: names of the table and what people type pass through the same map, and no two names within one area meet
//! in it. It says which characters stand for the same one and nothing of what is right: the table's spelling is shown.

use std::sync::LazyLock;

/// Pairs of a variant and the character that it is compared as. Each second one, or the first, occurs in the table.
const PAIRS: &str = "\
    壹壱 榮栄 鹽塩 櫻桜 奧奥 橫横 溫温 會会 樂楽 卷巻 觀観 關関 \
    氣気 歸帰 龜亀 狹狭 鄕郷 區区 惠恵 輕軽 藝芸 劍剣 劔剣 剱剣 \
    檢検 縣県 廣広 國国 圀国 囯国 黑黒 絲糸 兒児 舍舎 壽寿 澁渋 \
    澀渋 燒焼 條条 寢寝 眞真 瀨瀬 靜静 攝摂 淺浅 曾曽 雙双 壯壮 \
    總総 莊荘 增増 藏蔵 對対 帶帯 臺台 瀧滝 澤沢 當当 德徳 讀読 \
    繩縄 霸覇 賣売 發発 濱浜 濵浜 拂払 竝並 邊辺 邉辺 穗穂 寶宝 \
    寳宝 豐豊 萬万 滿満 彌弥 豫予 餘余 與与 樣様 來来 龍竜 綠緑 \
    禮礼 戀恋 亙亘 檜桧 峯峰 嶋島 嶌島 﨑崎 嵜崎 㟢崎 髙高 渕淵 \
    冨富 舘館 籠篭 蘂蕊 杤栃 埜野 龝秋 塲場 郞郎 凾函 檮梼 礪砺 \
    灣湾 鰺鯵 蘆芦 泻潟 竈釜 竃釜 栢柏 栁柳 𠮷吉 舩船 槗橋 亰京 \
    冲沖 逹達 邨村 戶戸 户戸 內内 吳呉 靑青 淸清 產産 彥彦 俱倶 \
    歲歳 巢巣 姬姫 桒桑 宫宮 靏鶴 靍鶴 鸖鶴 稻稲 諫諌 渊淵 驒騨 \
    蠏蟹";

static MAP: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let pair = |text: &str| {
        let mut chars = text.chars();
        Some((chars.next()?, chars.next()?))
    };
    let mut map: Vec<(char, char)> = PAIRS.split(' ').filter_map(pair).collect();
    map.sort_unstable();
    map
});

/// The character that stands for `c` and its variants.
pub(super) fn plain(c: char) -> char {
    let at = MAP.binary_search_by_key(&c, |(variant, _)| *variant).ok();
    at.and_then(|at| MAP.get(at)).map_or(c, |(_, plain)| *plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_stands_once_and_no_plain_form_is_a_variant_itself() {
        assert_eq!(MAP.len(), PAIRS.split(' ').count());
        for (at, (variant, plain_form)) in MAP.iter().enumerate() {
            assert_eq!(plain(*variant), *plain_form);
            assert_eq!(plain(*plain_form), *plain_form, "{variant}");
            assert!(MAP[at + 1..].iter().all(|(other, _)| other != variant), "{variant}");
        }
        assert_eq!((plain('櫻'), plain('﨑'), plain('𠮷'), plain('北')), ('桜', '崎', '吉', '北'));
    }
}
