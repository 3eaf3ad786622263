//! The fleet as it is shown: the routers that share the database, with what this one knows of each.

use super::super::shared::Shared;
use crate::model::{FleetInfo, FleetMember, FleetStatus, LinkState, MemberState};
use crate::store::Member;

impl Shared {
    /// The routers that share the database.
    pub(in crate::router) fn fleet_info(&self) -> FleetInfo {
        let info = FleetInfo::default().name(self.settings.now().name.clone());
        let Some(membership) = &self.membership else { return info };
        let (members, own, heard) = {
            let seen = membership.seen.lock();
            (seen.members.clone(), seen.epochs.last().copied(), seen.at.elapsed())
        };
        // A lease goes on running out while nothing is heard.
        let heard_ms = u64::try_from(heard.as_millis()).unwrap_or(u64::MAX);
        let shown = members.iter().map(|member| {
            let left = u64::try_from(member.lease_left_ms).unwrap_or_default();
            let shown = FleetMember::default()
                .name(member.name.clone())
                .epoch(member.epoch)
                .state(member.state)
                .version(member.version.clone())
                .started_at(member.started_at.as_secs())
                .lease_left_ms(left.saturating_sub(heard_ms))
                .address(member.reach.as_ref().map(|reach| reach.address.clone()).unwrap_or_default());
            if Some(member.epoch) == own { self.shown_here(shown) } else { self.shown_there(shown, member) }
        });
        info.shared(true).heard_ms(heard_ms).members(shown.collect())
    }

    /// Brings the metrics of the fleet up to date.
    pub(in crate::router) fn show_fleet(&self) {
        if let Some(membership) = &self.membership {
            membership.figures.show(&self.fleet_info());
        }
    }

    fn shown_here(&self, member: FleetMember) -> FleetMember {
        let core = self.core.lock();
        let (queued, running) = core.stands();
        member.link(LinkState::Own).miners(core.own_miners().count() as u64).queued_tasks(queued).running_tasks(running)
    }

    fn shown_there(&self, shown: FleetMember, member: &Member) -> FleetMember {
        if member.reach.is_none() || !self.has_links() {
            return shown.link(LinkState::None);
        }
        #[cfg(feature = "postgres")]
        if let Some(link) = self.link_to(member.epoch) {
            let seen = link.seen();
            let (lent, borrowed) = self.loans_with(member);
            return shown
                .lent(lent)
                .borrowed(borrowed)
                .link(LinkState::Up)
                .link_secs(seen.up_for.as_secs())
                .round_trip_ms(seen.round_trip.map_or(0.0, |time| time.as_secs_f64() * 1_000.0))
                .round_trip_there_ms(seen.pulse.round_trip.map_or(0.0, |micros| micros as f64 / 1_000.0))
                .readings(seen.readings)
                .miners(seen.pulse.miners)
                .queued_tasks(seen.pulse.queued)
                .running_tasks(seen.pulse.running);
        }
        shown.link(LinkState::Down)
    }

    /// The slots that are lent to a router, and those that are borrowed from it.
    #[cfg(feature = "postgres")]
    fn loans_with(&self, member: &Member) -> (u64, u64) {
        let links = self.links().zip(member.reach.as_ref());
        links.map_or((0, 0), |(links, reach)| links.loans_with(&reach.certificate))
    }

    /// The sums over the routers.
    pub(in crate::router) fn fleet_status(&self) -> FleetStatus {
        if self.membership.is_none() {
            return FleetStatus::default();
        }
        let members = self.fleet_info().members;
        let count = |is: fn(&FleetMember) -> bool| members.iter().filter(|member| is(member)).count() as u64;
        let sum = |of: fn(&FleetMember) -> u64| members.iter().map(of).sum();
        FleetStatus::default()
            .members(members.len() as u64)
            .up(count(|member| member.state == MemberState::Up))
            .draining(count(|member| member.state == MemberState::Draining))
            .unlinked(count(|member| matches!(member.link, LinkState::Down | LinkState::None)))
            .miners(sum(|member| member.miners))
            .queued_tasks(sum(|member| member.queued_tasks))
            .running_tasks(sum(|member| member.running_tasks))
    }
}
