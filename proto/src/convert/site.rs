//! Sites: what registers one, and what caps its power. The place is an area of Japan; a foreign one keeps its own code (D2).

use crate::field::{FieldError, FieldResult, area, etag, parsed, required, words};
use crate::mask;
use crate::name::Resource as _;
use crate::v1;
use sekisho_types::id::{OperatorId, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::power::SITE_WATTS_MAX;
use sekisho_types::revision::Revision;

/// A site to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSite {
    /// Its id.
    pub site: SiteId,
    /// Who runs it.
    pub operator: OperatorId,
    /// Where it stands.
    pub area: Area,
    /// Name for people.
    pub display_name: String,
}

impl TryFrom<&v1::CreateSiteRequest> for NewSite {
    type Error = FieldError;
    fn try_from(message: &v1::CreateSiteRequest) -> FieldResult<Self> {
        let content = required("site", message.site.as_ref())?;
        let site: SiteId = parsed("site_id", &message.site_id)?;
        same_name("site.name", &content.name, &site.name())?;
        Ok(Self {
            site,
            operator: parsed("site.operator", &content.operator)?,
            area: area("site.area", &content.area)?,
            display_name: words("site.display_name", &content.display_name)?,
        })
    }
}

impl NewSite {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::CreateSiteRequest {
        let site = v1::Site {
            name: self.site.name(),
            operator: self.operator.to_string(),
            area: self.area.to_string(),
            display_name: self.display_name.clone(),
            ..v1::Site::default()
        };
        v1::CreateSiteRequest {
            site_id: self.site.to_string(),
            site: Some(site),
            intent: Some(intent),
        }
    }
}

/// A site's new name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSite {
    /// Which.
    pub site: SiteId,
    /// Name for people.
    pub display_name: String,
    /// Revision at which the caller read it.
    pub expected: Revision,
}

impl TryFrom<&v1::UpdateSiteRequest> for UpdateSite {
    type Error = FieldError;
    fn try_from(message: &v1::UpdateSiteRequest) -> FieldResult<Self> {
        let content = required("site", message.site.as_ref())?;
        let has_name = !content.display_name.is_empty();
        mask::named("site", message.update_mask.as_ref(), &[("display_name", has_name)])?;
        Ok(Self {
            site: SiteId::from_field("site.name", &content.name)?,
            display_name: words("site.display_name", &content.display_name)?,
            expected: etag("site.etag", &content.etag)?,
        })
    }
}

impl UpdateSite {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::UpdateSiteRequest {
        let site = v1::Site {
            name: self.site.name(),
            display_name: self.display_name.clone(),
            etag: self.expected.to_string(),
            ..v1::Site::default()
        };
        v1::UpdateSiteRequest {
            site: Some(site),
            update_mask: Some(mask::of(&["display_name"])),
            intent: Some(intent),
        }
    }
}

/// A site's power cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPowerCap {
    /// Which.
    pub site: SiteId,
    /// Watts; `None` = it is not capped.
    pub watts: Option<u64>,
    /// Revision at which the caller read the site.
    pub expected: Revision,
}

impl TryFrom<&v1::SetPowerCapRequest> for SetPowerCap {
    type Error = FieldError;
    fn try_from(message: &v1::SetPowerCapRequest) -> FieldResult<Self> {
        if message.watts.is_some_and(|watts| watts > SITE_WATTS_MAX) {
            return Err(FieldError::new("watts", format!("must be at most {SITE_WATTS_MAX}")));
        }
        Ok(Self {
            site: SiteId::from_field("name", &message.name)?,
            watts: message.watts,
            expected: etag("etag", &message.etag)?,
        })
    }
}

impl SetPowerCap {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::SetPowerCapRequest {
        v1::SetPowerCapRequest {
            name: self.site.name(),
            watts: self.watts,
            etag: self.expected.to_string(),
            intent: Some(intent),
        }
    }
}

/// A name inside a resource that is being created may be left out, and must not contradict the chosen id.
pub(super) fn same_name(field: &str, given: &str, expected: &str) -> FieldResult<()> {
    if given.is_empty() || given == expected {
        return Ok(());
    }
    Err(FieldError::new(field, format!("must be empty or `{expected}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::error_code::ErrorCode;

    fn site() -> NewSite {
        NewSite {
            site: "ishikari-1".parse().unwrap(),
            operator: "hokuto".parse().unwrap(),
            area: Area::resolve("012351").unwrap(),
            display_name: "石狩第一".into(),
        }
    }

    #[test]
    fn a_site_round_trips() {
        assert_eq!(NewSite::try_from(&site().request(v1::Intent::default())), Ok(site()));
    }

    #[test]
    fn a_name_is_changed_as_it_was_read() {
        let site = "tokyo-1".parse().unwrap();
        let update = UpdateSite { site, display_name: String::new(), expected: Revision(7) };
        let message = update.request(v1::Intent::default());
        assert_eq!(UpdateSite::try_from(&message), Ok(update));
        let refused = |change: &dyn Fn(&mut v1::UpdateSiteRequest, &mut v1::Site)| {
            let (mut message, mut content) = (message.clone(), message.site.clone().unwrap());
            change(&mut message, &mut content);
            message.site = Some(content);
            UpdateSite::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|_, site| site.etag.clear()), "site.etag");
        assert_eq!(refused(&|_, site| site.name = "tokyo-1".into()), "site.name");
        assert_eq!(refused(&|_, site| site.display_name = "a\nb".into()), "site.display_name");
        assert_eq!(refused(&|m, _| m.update_mask = None), "update_mask");
        assert_eq!(refused(&|m, _| m.update_mask = Some(mask::of(&["area"]))), "update_mask");
    }

    #[test]
    fn a_power_cap_round_trips_and_every_bad_field_is_named() {
        let site: SiteId = "tokyo-1".parse().unwrap();
        for watts in [None, Some(0), Some(SITE_WATTS_MAX)] {
            let cap = SetPowerCap { site: site.clone(), watts, expected: Revision(7) };
            let message = cap.request(v1::Intent::default());
            assert_eq!(SetPowerCap::try_from(&message), Ok(cap));
        }
        let good = v1::SetPowerCapRequest {
            name: "sites/tokyo-1".into(),
            etag: "7".into(),
            ..Default::default()
        };
        let refused = |message| SetPowerCap::try_from(&message).unwrap_err().field;
        let watts = Some(SITE_WATTS_MAX + 1);
        assert_eq!(refused(v1::SetPowerCapRequest { watts, ..good.clone() }), "watts");
        assert_eq!(refused(v1::SetPowerCapRequest { etag: String::new(), ..good.clone() }), "etag");
        assert_eq!(refused(v1::SetPowerCapRequest { name: "tokyo-1".into(), ..good }), "name");
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: &dyn Fn(&mut v1::CreateSiteRequest, &mut v1::Site)| {
            let mut message = site().request(v1::Intent::default());
            let mut content = message.site.take().unwrap();
            change(&mut message, &mut content);
            message.site = Some(content);
            let error = NewSite::try_from(&message).unwrap_err();
            (error.field, error.code)
        };
        let invalid = |field: &str| (field.to_owned(), ErrorCode::InvalidArgument);
        assert_eq!(refused(&|m, _| m.site_id = "Ishikari".into()), invalid("site_id"));
        assert_eq!(refused(&|_, s| s.name = "sites/other".into()), invalid("site.name"));
        assert_eq!(refused(&|_, s| s.operator.clear()), invalid("site.operator"));
        let foreign = ("site.area".to_owned(), ErrorCode::ResidencyOutsideJp);
        assert_eq!(refused(&|_, s| s.area = "KR-26".into()), foreign);
        assert_eq!(refused(&|_, s| s.display_name = "a\nb".into()), invalid("site.display_name"));
        assert_eq!(refused(&|_, s| s.display_name = "x".repeat(513)), invalid("site.display_name"));
        let empty = v1::CreateSiteRequest::default();
        assert_eq!(NewSite::try_from(&empty).unwrap_err().field, "site");
    }
}
