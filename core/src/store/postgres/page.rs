//! Pages: of a session's tasks, of usage, and of the audit log, each as of one moment.

use std::future::Future;

use tokio_postgres::types::Type;

use super::batch::Ground;
use super::link::{Link, Params};
use super::row;
use super::schema::quoted;
use super::sql::TASK;
use super::usage;
use crate::model::{ActKind, TaskId};
use crate::store::columns::{AUDIT, bound, int};
use crate::store::{AuditPage, AuditQuery, TaskPage, TaskQuery, UsagePage, UsageQuery, Wanted};

/// Does reads in one transaction that sees one moment.
async fn as_of_one_moment<T>(
    link: &Link,
    reads: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, tokio_postgres::Error> {
    let ((), answer) = tokio::try_join!(biased; link.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), reads)?;
    link.run("COMMIT").await?;
    Ok(answer)
}

/// Reads a page of a session's tasks.
///
/// The counts of the session give the total. The page is looked for from the nearer end, over an index alone, so that
/// the first and the last pages cost as much as they hold.
pub(super) async fn of_tasks(
    link: &Link,
    ground: &Ground,
    query: &TaskQuery,
) -> Result<TaskPage, tokio_postgres::Error> {
    as_of_one_moment(link, async {
        let schema = quoted(&ground.schema);
        let session = int(query.session_id.0);
        let wanted = Wanted::from(query.state);
        let filter = wanted.condition();
        // Without a key every task is of the page.
        let of_key = "AND ($2 IS NULL OR key_id = $2)";
        let params: Params<'_> = &[(&session, Type::INT8), (&query.key_id, Type::TEXT)];
        let total = if query.key_id.is_some() {
            let sql = format!("SELECT count(*) FROM {schema}.task WHERE session_id = $1 {of_key} {filter}");
            link.query(&sql, params).await?.first().map_or(0, |found| row::uint(found, 0))
        } else {
            let sql = format!(
                "SELECT coalesce(sum(total), 0)::int8, coalesce(sum(open), 0)::int8 FROM {schema}.session_count
                 WHERE session_id = $1"
            );
            let rows = link.query(&sql, &params[..1]).await?;
            rows.first().map_or(0, |found| wanted.of(row::uint(found, 0), row::uint(found, 1)))
        };
        let mut page = TaskPage { total, ..TaskPage::default() };
        let rows = query.start.rows(query.limit, total);
        if rows.is_empty() {
            return Ok(page);
        }
        let from_behind = total - rows.end < rows.start;
        let (order, skipped) = if from_behind { ("DESC", total - rows.end) } else { ("ASC", rows.start) };
        let sql = format!(
            "SELECT {TASK} FROM {schema}.task WHERE gid IN (SELECT gid FROM {schema}.task
                 WHERE session_id = $1 {of_key} {filter} ORDER BY id {order} LIMIT $3 OFFSET $4) ORDER BY id"
        );
        let (limit, offset) = (bound(rows.end - rows.start), bound(skipped));
        let params = &[params[0].clone(), params[1].clone(), (&limit, Type::INT8), (&offset, Type::INT8)];
        for found in link.query(&sql, params).await? {
            match row::task(&found) {
                Ok((task, _)) => page.tasks.push(task),
                // A damaged task must not hide the others.
                Err(_) => page.corrupt.push(TaskId(row::uint(&found, 2))),
            }
        }
        Ok(page)
    })
    .await
}

/// Reads a page of usage.
pub(super) async fn of_usage(
    link: &Link,
    ground: &Ground,
    query: &UsageQuery,
) -> Result<UsagePage, tokio_postgres::Error> {
    as_of_one_moment(link, usage::page(link, &ground.schema, query)).await
}

/// Reads a page of the audit log.
pub(super) async fn of_audit(
    link: &Link,
    ground: &Ground,
    query: AuditQuery,
) -> Result<AuditPage, tokio_postgres::Error> {
    as_of_one_moment(link, async {
        let schema = quoted(&ground.schema);
        let act = query.act.map(ActKind::as_str);
        let count = format!("SELECT count(*) FROM {schema}.audit WHERE $1 IS NULL OR act = $1");
        let total = link.query(&count, &[(&act, Type::TEXT)]).await?;
        let mut page =
            AuditPage { total: total.first().map_or(0, |found| row::uint(found, 0)), ..AuditPage::default() };
        let order = if query.after.is_some() { "ASC" } else { "DESC" };
        let select = format!(
            "SELECT {AUDIT} FROM {schema}.audit WHERE number > $2 AND ($1 IS NULL OR act = $1) ORDER BY number {order}
             LIMIT $3"
        );
        let (after, limit) = (query.after.map_or(-1, bound), bound(query.limit));
        let params: Params<'_> = &[(&act, Type::TEXT), (&after, Type::INT8), (&limit, Type::INT8)];
        for found in link.query(&select, params).await? {
            match row::entry(&found) {
                Ok(entry) => page.entries.push(entry),
                // A damaged entry must not hide the others.
                Err(_) => page.corrupt.push(row::uint(&found, 0)),
            }
        }
        if query.after.is_none() {
            page.entries.reverse();
            page.corrupt.reverse();
        }
        Ok(page)
    })
    .await
}
