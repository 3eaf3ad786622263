// Made from the schema by `cargo xtask gen`; do not edit.
package network.cortensor.java;

import com.google.gson.JsonObject;
import com.google.gson.annotations.SerializedName;
import java.util.List;
import java.util.Map;

/** The records of the router, with the names of the REST API in Java's form. A member that may be absent is null then. */
public final class Records {
    private Records() {}

    /**
     * Tokens of one completion, as the miner counted them (or estimated where it does not count).
     *
     * @param completionTokens Tokens that were generated.
     * @param promptTokens Tokens of the prompt.
     * @param totalTokens Their sum.
     * @param cachedTokens Tokens of the prompt that the model's server had in its cache, where the server says
     * so.
     * @param reasoningTokens Generated tokens that are not part of the answer's text, where the model's server
     * says so.
     */
    public record Usage(
            @SerializedName("completion_tokens") long completionTokens,
            @SerializedName("prompt_tokens") long promptTokens,
            @SerializedName("total_tokens") long totalTokens,
            @SerializedName("cached_tokens") long cachedTokens,
            @SerializedName("reasoning_tokens") long reasoningTokens) {}

    /**
     * How one miner's answer compares with the winner's.
     *
     * @param miner The miner's address.
     * @param score Its score with the winner, 0 to 1.
     * @param agrees Whether that is enough to match.
     */
    public record MinerVerdict(
            @SerializedName("miner") String miner,
            @SerializedName("score") double score,
            @SerializedName("agrees") boolean agrees) {}

    /**
     * How several answers to one task compare.
     *
     * @param verdict <code>agreed</code>, <code>disputed</code> or <code>insufficient</code>.
     * @param score How well the answers agree, 0 to 1: the share that match the winner (<code>quorum</code>),
     * the mean score of the winner with the others (<code>medoid</code>), the least score of any two
     * (<code>all</code>).
     * @param method How they were compared: <code>exact</code>, <code>normalized</code>, <code>json</code>,
     * <code>lexical</code>, <code>embedding</code> or <code>verdict</code>.
     * @param policy The rule that decided: <code>quorum</code>, <code>medoid</code> or <code>all</code>.
     * @param winner The address of the miner whose answer was taken; where they do not agree, of the one that is
     * shown first.
     * @param perMiner Each miner's answer beside the winner's, the winner first.
     */
    public record Verdict(
            @SerializedName("verdict") String verdict,
            @SerializedName("score") double score,
            @SerializedName("method") String method,
            @SerializedName("policy") String policy,
            @SerializedName("winner") String winner,
            @SerializedName("per_miner") List<MinerVerdict> perMiner) {}

    /**
     * One answer, or the new piece of it.
     *
     * @param finishReason <code>stop</code>, <code>length</code> ...; <code>null</code> before the end of a
     * stream.
     * @param index Its place among the choices.
     * @param logprobs Always <code>null</code>.
     * @param text The text.
     * @param message <code>text</code> as a message.
     * @param minerAddress Whose answer it is, where several miners answered.
     */
    public record Choice(
            @SerializedName("finish_reason") String finishReason,
            @SerializedName("index") long index,
            @SerializedName("logprobs") Object logprobs,
            @SerializedName("text") String text,
            @SerializedName("message") Message message,
            @SerializedName("miner_address") String minerAddress) {}

    /**
     * A completion on its way out: to REST clients and to the bindings; whole, or one event of a stream.
     *
     * @param choices The answers: one, unless several were asked for.
     * @param created Unix seconds.
     * @param id Unique among all tasks.
     * @param model The model that was asked for.
     * @param object_ <code>text_completion</code>
     * @param sessionId The session.
     * @param taskId The task in its session.
     * @param usage Token counts.
     * @param gid The task among all sessions.
     * @param minerAddress The address of the miner whose answer it is.
     * @param verdict How several answers compare.
     */
    public record CompletionRecord(
            @SerializedName("choices") List<Choice> choices,
            @SerializedName("created") long created,
            @SerializedName("id") String id,
            @SerializedName("model") String model,
            @SerializedName("object") String object_,
            @SerializedName("session_id") long sessionId,
            @SerializedName("task_id") long taskId,
            @SerializedName("usage") Usage usage,
            @SerializedName("gid") Long gid,
            @SerializedName("miner_address") String minerAddress,
            @SerializedName("verdict") Verdict verdict) {}

    /**
     * The answers to a task, where it is shown alone.
     *
     * @param data The texts; while the task runs, the text so far.
     * @param miners The miners' addresses, aligned with <code>data</code>. Only once the task has ended: clients
     * take its presence for completeness.
     */
    public record TaskResults(
            @SerializedName("data") List<String> data,
            @SerializedName("miners") List<String> miners) {}

    /**
     * The delivery of a task's end as it is shown: without the secret, and without the parts of the URL that may
     * be one.
     *
     * @param url The URL, without its query.
     * @param state <code>waiting</code> (the task has not ended), <code>pending</code>, <code>delivered</code>
     * or <code>failed</code>.
     * @param attempts The tries so far.
     * @param lastStatus The status of the last answer; null: there was none.
     * @param lastError Why the last try failed; null: it did not.
     * @param nextAt Unix seconds of the next try; null: there is none.
     */
    public record WebhookRecord(
            @SerializedName("url") String url,
            @SerializedName("state") String state,
            @SerializedName("attempts") long attempts,
            @SerializedName("last_status") Long lastStatus,
            @SerializedName("last_error") String lastError,
            @SerializedName("next_at") Long nextAt) {}

    /**
     * A task on its way out: to REST clients and to the bindings.
     *
     * @param id Its number in its session.
     * @param taskId Alias of <code>id</code>, for clients that read <code>task_id</code>.
     * @param gid Its number among all sessions.
     * @param sessionId The session.
     * @param keyId The key under which it was submitted: a key's id, the name of a configured token, or the name
     * that a host program gave.
     * @param clientReference The caller's own reference.
     * @param status 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended.
     * @param state <code>status</code> as a word: <code>queued</code>, <code>assigned</code>,
     * <code>acked</code>, <code>precommitted</code>, <code>committed</code>, <code>ended</code>.
     * @param outcome Once it has ended: <code>ok</code>, <code>disputed</code>, <code>failed</code>,
     * <code>cancelled</code> or <code>expired</code>; never changes.
     * @param ended Whether it has ended.
     * @param createdAt Unix seconds at which the task was submitted.
     * @param startedAt Unix seconds at which a miner took the task; 0 while none has.
     * @param lastPrecommitAt Unix seconds at which the last answer came in; 0 before.
     * @param lastCommitAt Unix seconds at which the verdict was written; 0 before.
     * @param finishedAt Unix seconds at which the task ended; 0 before.
     * @param executionTime Seconds that miners took; 0 before the end.
     * @param assignedMiners The addresses of the miners that worked on it, in their order.
     * @param prompt The whole text that the model reads.
     * @param text The answer's text, or what there is so far.
     * @param response Alias of <code>text</code>, for clients that read <code>response</code>.
     * @param model The model that was asked for, else the one that answered.
     * @param finishReason Why the answer ends: <code>stop</code>, <code>length</code> ...
     * @param usage Token counts.
     * @param attempts How often it was given to a miner.
     * @param verdict How several answers compare.
     * @param failure Why it has no answer.
     * @param queuePosition Its place in the queue, while it waits.
     * @param webhook The delivery of its end to its webhook, if it has one.
     * @param results The answers. In a list of tasks: the texts, aligned with <code>assigned_miners</code>.
     * @param resultsHash SHA-256 of the answers' texts, aligned with <code>results</code>.
     */
    public record TaskRecord(
            @SerializedName("id") long id,
            @SerializedName("task_id") long taskId,
            @SerializedName("gid") long gid,
            @SerializedName("session_id") long sessionId,
            @SerializedName("key_id") String keyId,
            @SerializedName("client_reference") String clientReference,
            @SerializedName("status") long status,
            @SerializedName("state") String state,
            @SerializedName("outcome") String outcome,
            @SerializedName("ended") boolean ended,
            @SerializedName("created_at") long createdAt,
            @SerializedName("started_at") long startedAt,
            @SerializedName("last_precommit_at") long lastPrecommitAt,
            @SerializedName("last_commit_at") long lastCommitAt,
            @SerializedName("finished_at") long finishedAt,
            @SerializedName("execution_time") double executionTime,
            @SerializedName("assigned_miners") List<String> assignedMiners,
            @SerializedName("prompt") String prompt,
            @SerializedName("text") String text,
            @SerializedName("response") String response,
            @SerializedName("model") String model,
            @SerializedName("finish_reason") String finishReason,
            @SerializedName("usage") Usage usage,
            @SerializedName("attempts") long attempts,
            @SerializedName("verdict") Verdict verdict,
            @SerializedName("failure") String failure,
            @SerializedName("queue_position") Long queuePosition,
            @SerializedName("webhook") WebhookRecord webhook,
            @SerializedName("results") Object results,
            @SerializedName("results_hash") List<String> resultsHash) {}

    /**
     * A task in a list.
     *
     * @param id Its number in its session.
     * @param taskId Alias of <code>id</code>, for clients that read <code>task_id</code>.
     * @param gid Its number among all sessions.
     * @param sessionId The session.
     * @param keyId The key under which it was submitted: a key's id, the name of a configured token, or the name
     * that a host program gave.
     * @param clientReference The caller's own reference.
     * @param status 0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended.
     * @param state <code>status</code> as a word: <code>queued</code>, <code>assigned</code>,
     * <code>acked</code>, <code>precommitted</code>, <code>committed</code>, <code>ended</code>.
     * @param outcome Once it has ended: <code>ok</code>, <code>disputed</code>, <code>failed</code>,
     * <code>cancelled</code> or <code>expired</code>; never changes.
     * @param ended Whether it has ended.
     * @param createdAt Unix seconds at which the task was submitted.
     * @param startedAt Unix seconds at which a miner took the task; 0 while none has.
     * @param lastPrecommitAt Unix seconds at which the last answer came in; 0 before.
     * @param lastCommitAt Unix seconds at which the verdict was written; 0 before.
     * @param finishedAt Unix seconds at which the task ended; 0 before.
     * @param executionTime Seconds that miners took; 0 before the end.
     * @param assignedMiners The addresses of the miners that worked on it, in their order.
     * @param prompt The whole text that the model reads.
     * @param text The answer's text, or what there is so far.
     * @param response Alias of <code>text</code>, for clients that read <code>response</code>.
     * @param model The model that was asked for, else the one that answered.
     * @param finishReason Why the answer ends: <code>stop</code>, <code>length</code> ...
     * @param usage Token counts.
     * @param attempts How often it was given to a miner.
     * @param verdict How several answers compare.
     * @param failure Why it has no answer.
     * @param queuePosition Its place in the queue, while it waits.
     * @param webhook The delivery of its end to its webhook, if it has one.
     * @param results The answers. In a list of tasks: the texts, aligned with <code>assigned_miners</code>.
     * @param resultsHash SHA-256 of the answers' texts, aligned with <code>results</code>.
     */
    public record TaskRow(
            @SerializedName("id") long id,
            @SerializedName("task_id") long taskId,
            @SerializedName("gid") long gid,
            @SerializedName("session_id") long sessionId,
            @SerializedName("key_id") String keyId,
            @SerializedName("client_reference") String clientReference,
            @SerializedName("status") long status,
            @SerializedName("state") String state,
            @SerializedName("outcome") String outcome,
            @SerializedName("ended") boolean ended,
            @SerializedName("created_at") long createdAt,
            @SerializedName("started_at") long startedAt,
            @SerializedName("last_precommit_at") long lastPrecommitAt,
            @SerializedName("last_commit_at") long lastCommitAt,
            @SerializedName("finished_at") long finishedAt,
            @SerializedName("execution_time") double executionTime,
            @SerializedName("assigned_miners") List<String> assignedMiners,
            @SerializedName("prompt") String prompt,
            @SerializedName("text") String text,
            @SerializedName("response") String response,
            @SerializedName("model") String model,
            @SerializedName("finish_reason") String finishReason,
            @SerializedName("usage") Usage usage,
            @SerializedName("attempts") long attempts,
            @SerializedName("verdict") Verdict verdict,
            @SerializedName("failure") String failure,
            @SerializedName("queue_position") Long queuePosition,
            @SerializedName("webhook") WebhookRecord webhook,
            @SerializedName("results") List<String> results,
            @SerializedName("results_hash") List<String> resultsHash) {}

    /**
     * Tasks of a session.
     *
     * @param count The number of tasks on all pages.
     * @param tasks The tasks of this page.
     * @param corrupt The ids of tasks of this page whose rows in the store are damaged; missing if there are
     * none. With <code>format=array</code> the header <code>X-Cortensor-Corrupt</code> has them.
     */
    public record TaskPage(
            @SerializedName("count") long count,
            @SerializedName("tasks") List<TaskRow> tasks,
            @SerializedName("corrupt") List<Long> corrupt) {}

    /**
     * A vector.
     *
     * @param embedding Its numbers.
     * @param index The input it belongs to, from 0.
     * @param object_ <code>embedding</code>
     */
    public record Embedding(
            @SerializedName("embedding") List<Double> embedding,
            @SerializedName("index") long index,
            @SerializedName("object") String object_) {}

    /**
     * Vectors of texts, in the order of the texts.
     *
     * @param data The vectors, one for each text.
     * @param gid The task among all sessions.
     * @param minerAddress The miner that made them.
     * @param model The model that made them.
     * @param object_ <code>list</code>
     * @param sessionId The session.
     * @param taskId The task in its session.
     * @param usage Tokens of the texts.
     */
    public record EmbeddingsRecord(
            @SerializedName("data") List<Embedding> data,
            @SerializedName("gid") long gid,
            @SerializedName("miner_address") String minerAddress,
            @SerializedName("model") String model,
            @SerializedName("object") String object_,
            @SerializedName("session_id") long sessionId,
            @SerializedName("task_id") long taskId,
            @SerializedName("usage") EmbeddingCounts usage) {}

    /**
     * A job as the router has it.
     *
     * @param gid The task among all sessions.
     * @param sessionId The session.
     * @param taskId The task in its session.
     * @param model The model to use, where one was asked for.
     * @param prompt The whole text that the model must read.
     * @param stream Whether somebody reads tokens as they come.
     * @param deadlineMs Milliseconds since the Unix epoch after which nobody wants the answer.
     * @param partial The text that another miner gave before it was lost, if the answer must go on behind it.
     * Only miners that said that they can continue get such work.
     * @param traceparent The W3C trace context under which the miner's own work belongs, if the caller sent one.
     * @param tracestate The W3C <code>tracestate</code> that belongs to <code>traceparent</code>.
     * @param request The caller's request.
     */
    public record JobInfo(
            @SerializedName("gid") long gid,
            @SerializedName("session_id") long sessionId,
            @SerializedName("task_id") long taskId,
            @SerializedName("model") String model,
            @SerializedName("prompt") String prompt,
            @SerializedName("stream") boolean stream,
            @SerializedName("deadline_ms") long deadlineMs,
            @SerializedName("partial") String partial,
            @SerializedName("traceparent") String traceparent,
            @SerializedName("tracestate") String tracestate,
            @SerializedName("request") JsonObject request) {}

    /**
     * The details of an error, with the REST API's names.
     *
     * @param code The finest code there is, as the REST API answers it: <code>session_not_found</code>,
     * <code>no_miner</code>, <code>queue_full</code> ...
     * @param kind The kind of the error, by the same word in every language.
     * @param message The problem and how to mend it.
     * @param param The field or argument at fault: <code>max_tokens</code>, <code>limits.max_sessions</code>.
     * @param retryAfterMs Milliseconds after which a retry may succeed.
     * @param retryable Whether the same call may succeed later, unchanged.
     * @param sessionId The session that the error is about.
     * @param taskId The task that the error is about; it can be polled.
     */
    public record ErrorDetails(
            @SerializedName("code") String code,
            @SerializedName("kind") String kind,
            @SerializedName("message") String message,
            @SerializedName("param") String param,
            @SerializedName("retry_after_ms") Long retryAfterMs,
            @SerializedName("retryable") Boolean retryable,
            @SerializedName("session_id") Long sessionId,
            @SerializedName("task_id") Long taskId) {}

    /**
     * A session as the router keeps and shows it.
     *
     * @param validationPolicy The rule that decides: <code>first</code>, <code>quorum</code>,
     * <code>medoid</code> or <code>all</code>. Default <code>quorum</code>.
     * @param match When two answers match: <code>exact</code>, <code>normalized</code>, <code>json</code>,
     * <code>lexical</code>, <code>embedding</code> or <code>verdict</code>. Default <code>normalized</code>.
     * @param minScore From this score on two answers match, 0 to 1. Default 0.5 for <code>lexical</code>, 0.85
     * for <code>embedding</code>, else 1.
     * @param tieBreak Whether one more miner is asked where the answers do not agree. Default no; of no use to
     * <code>all</code>.
     * @param matchTolerance How much two numbers of JSON may differ, as a share of the greater one. Default
     * 0.000001.
     * @param matchPointers The only places of JSON that are compared (RFC 6901), at most 32; none: the whole.
     * @param matchModel The model that embeds the answers; none: any that a miner embeds with.
     * @param name A name for people, 1 to 256 bytes.
     * @param metadata Anything of the caller's, up to 64 KiB of text or JSON.
     * @param owner The owner; the token's id where it is empty.
     * @param mode Which miners serve it: 0 ephemeral, 1 dedicated, 2 both.
     * @param redundant How many miners answer each task (0 and 1: one).
     * @param minNumOfNodes The fewest miners that must be there for the session to be served; while there are
     * fewer, new tasks are refused (<code>too_few_miners</code>); 0: no demand.
     * @param maxNumOfNodes The most miners that work for it at a time; 0: no limit.
     * @param numOfValidatorNodes How many answers are validated.
     * @param reserveEphemeralNodes Whether ephemeral miners are kept for it alone: as many as
     * <code>min_num_of_nodes</code> or <code>redundant</code> say, at least one.
     * @param reservePeriod Seconds that a reservation holds after the session's last task; 0:
     * <code>dispatch.reserve_period_secs</code>.
     * @param sla The service class, by what is measured of miners. 0: any. 1: at most 10 % errors. 2: at most 5
     * % errors, 10 tokens/s and 2 s to the first token. 3 and above: at most 2 % errors, 25 tokens/s and 1 s.
     * While no miner meets it, any will do.
     * @param model The model of its tasks where they name none.
     * @param modelIdentifier Cortensor's number for a model; kept and given back.
     * @param maxTaskExecutionCount The most tasks it ever takes; 0: no limit.
     * @param priority The band of its tasks, 0 to 9; a higher band is served first.
     * @param weight Its share within a band, 1 to 1000; 0 means the default of 1.
     * @param affinity Whether its tasks prefer the miner that served the last one; on by default.
     * @param retention The part of ended tasks that is kept: <code>all</code>, <code>result</code> (no prompt)
     * or <code>none</code>.
     * @param limits The most that its tasks may use together, whoever submits them.
     * @param models The models that its tasks may use; empty: all.
     * @param expiresAt Unix seconds from which on it takes no new tasks; 0: it does not expire.
     * @param id The id.
     * @param sid The session's 0x + 64 hexadecimal digits, also its <code>tx_hash</code>; accepted wherever an
     * id is.
     * @param address An address that stands for the session.
     * @param active Whether it takes tasks.
     * @param state <code>active</code> as a word.
     * @param createdAt Unix seconds.
     * @param updatedAt Unix seconds.
     * @param ephemeralNodes Miners that serve it and come and go.
     * @param dedicatedNodes Miners that are dedicated to it.
     * @param reservedNodes Miners that are kept for it alone now.
     * @param minersCount How many miners can serve it now.
     * @param totalTasks Tasks that were ever submitted to it.
     * @param activeTasks Tasks that have not ended.
     */
    public record SessionRecord(
            @SerializedName("validation_policy") String validationPolicy,
            @SerializedName("match") String match,
            @SerializedName("min_score") Double minScore,
            @SerializedName("tie_break") Boolean tieBreak,
            @SerializedName("match_tolerance") Double matchTolerance,
            @SerializedName("match_pointers") List<String> matchPointers,
            @SerializedName("match_model") String matchModel,
            @SerializedName("name") String name,
            @SerializedName("metadata") String metadata,
            @SerializedName("owner") String owner,
            @SerializedName("mode") long mode,
            @SerializedName("redundant") long redundant,
            @SerializedName("min_num_of_nodes") long minNumOfNodes,
            @SerializedName("max_num_of_nodes") long maxNumOfNodes,
            @SerializedName("num_of_validator_nodes") long numOfValidatorNodes,
            @SerializedName("reserve_ephemeral_nodes") boolean reserveEphemeralNodes,
            @SerializedName("reserve_period") long reservePeriod,
            @SerializedName("sla") long sla,
            @SerializedName("model") String model,
            @SerializedName("model_identifier") String modelIdentifier,
            @SerializedName("max_task_execution_count") long maxTaskExecutionCount,
            @SerializedName("priority") long priority,
            @SerializedName("weight") long weight,
            @SerializedName("affinity") Boolean affinity,
            @SerializedName("retention") String retention,
            @SerializedName("limits") SessionQuota limits,
            @SerializedName("models") List<String> models,
            @SerializedName("expires_at") long expiresAt,
            @SerializedName("id") long id,
            @SerializedName("sid") String sid,
            @SerializedName("address") String address,
            @SerializedName("active") boolean active,
            @SerializedName("state") String state,
            @SerializedName("created_at") long createdAt,
            @SerializedName("updated_at") long updatedAt,
            @SerializedName("ephemeral_nodes") List<String> ephemeralNodes,
            @SerializedName("dedicated_nodes") List<String> dedicatedNodes,
            @SerializedName("reserved_nodes") List<String> reservedNodes,
            @SerializedName("miners_count") long minersCount,
            @SerializedName("total_tasks") long totalTasks,
            @SerializedName("active_tasks") long activeTasks) {}

    /**
     * The hardware of a miner, as the miner describes it.
     *
     * @param gpu The accelerator, at most 256 bytes.
     * @param vram Its memory, in MiB; 0 where it does not say.
     * @param cpu The processor, at most 256 bytes.
     */
    public record Hardware(
            @SerializedName("gpu") String gpu,
            @SerializedName("vram") long vram,
            @SerializedName("cpu") String cpu) {}

    /**
     * A model of a miner, as the miner describes it. The router checks none of it but the name.
     *
     * @param id Its name, as it is asked for; 1 to 256 bytes.
     * @param digest A digest of its weights, at most 256 bytes.
     * @param quant Its quantization (<code>Q4_1</code>, <code>fp8</code> ...), at most 256 bytes: answers are
     * compared among equals.
     * @param context The most tokens of prompt and answer together; 0 where it is not known.
     * @param maxOutput The most tokens of an answer; 0 where it is not known.
     * @param warm Whether it is loaded.
     * @param embeddings Whether it embeds.
     * @param tools Whether it calls tools.
     */
    public record ModelDetails(
            @SerializedName("id") String id,
            @SerializedName("digest") String digest,
            @SerializedName("quant") String quant,
            @SerializedName("context") long context,
            @SerializedName("max_output") long maxOutput,
            @SerializedName("warm") boolean warm,
            @SerializedName("embeddings") boolean embeddings,
            @SerializedName("tools") boolean tools) {}

    /**
     * A miner as the router sees it now.
     *
     * @param id The name.
     * @param minerId Alias of <code>id</code>, for clients that read <code>miner_id</code>.
     * @param address The address that stands for it.
     * @param active Whether it gets work.
     * @param status <code>idle</code>, <code>busy</code>, <code>draining</code>, <code>cooling</code> (its
     * breaker is open), <code>set_aside</code> (its answers are not trusted) or <code>down</code>; a server that
     * the router starts may also be <code>stopped</code>, <code>starting</code>, <code>stopping</code> or
     * <code>failed</code>.
     * @param router The router that it is connected to, where several share a database; else empty.
     * @param kind How it is reached.
     * @param nodeType <code>ephemeral</code> or <code>dedicated</code>.
     * @param models The models it serves.
     * @param capacity How many tasks it takes at a time, as it said.
     * @param credits How many it may take now: less than <code>capacity</code> while an upstream is throttled.
     * @param inFlight How many it works on.
     * @param owner The person or company that runs the miner.
     * @param embeddings Whether it embeds.
     * @param maxContextTokens The most tokens of prompt and answer together; 0 where it does not say.
     * @param features The optional abilities of the miner: <code>continue</code>, <code>messages</code>,
     * <code>responses</code> ...
     * @param agent Its software and version, in its own words; empty for miners that do not say.
     * @param hardware Its hardware, in its own words.
     * @param modelDetails The details of its models beyond their names, as the miner states them.
     * @param load Tasks in flight as a share of those that it may have now; 0 while it may have none.
     * @param errorRate Attempts that failed by its fault, as a share of those that ended.
     * @param tokensPerSecond Measured tokens a second of one task.
     * @param firstTokenMs Measured milliseconds to the first token.
     * @param completed Tasks it finished.
     * @param failed Attempts that failed by its fault.
     * @param breaker <code>closed</code>, <code>open</code> or <code>half_open</code>.
     * @param reputation How often its answers agree with others', smoothed; 1 where they always did or none was
     * compared.
     * @param serviceClass The greatest service class (<code>sla</code> of a session) whose demands it meets, 0
     * to 3.
     * @param reservedFor The session that it is kept for; <code>null</code> where it is everybody's.
     * @param reason Why it is down, or what is odd about it while it is up; else empty.
     * @param connectedAt Unix seconds.
     * @param lastSeen Unix seconds.
     */
    public record MinerInfo(
            @SerializedName("id") String id,
            @SerializedName("miner_id") String minerId,
            @SerializedName("address") String address,
            @SerializedName("active") boolean active,
            @SerializedName("status") String status,
            @SerializedName("router") String router,
            @SerializedName("kind") String kind,
            @SerializedName("node_type") String nodeType,
            @SerializedName("models") List<String> models,
            @SerializedName("capacity") long capacity,
            @SerializedName("credits") long credits,
            @SerializedName("in_flight") long inFlight,
            @SerializedName("owner") String owner,
            @SerializedName("embeddings") boolean embeddings,
            @SerializedName("max_context_tokens") long maxContextTokens,
            @SerializedName("features") List<String> features,
            @SerializedName("agent") String agent,
            @SerializedName("hardware") Hardware hardware,
            @SerializedName("model_details") List<ModelDetails> modelDetails,
            @SerializedName("load") double load,
            @SerializedName("error_rate") double errorRate,
            @SerializedName("tokens_per_second") double tokensPerSecond,
            @SerializedName("first_token_ms") double firstTokenMs,
            @SerializedName("completed") long completed,
            @SerializedName("failed") long failed,
            @SerializedName("breaker") String breaker,
            @SerializedName("reputation") double reputation,
            @SerializedName("service_class") long serviceClass,
            @SerializedName("reserved_for") Long reservedFor,
            @SerializedName("reason") String reason,
            @SerializedName("connected_at") long connectedAt,
            @SerializedName("last_seen") long lastSeen) {}

    /**
     * A model that clients can ask for.
     *
     * @param id The model's name.
     * @param created The time at which the first miner of the model joined, in Unix seconds.
     * @param ownedBy The owner of the first miner that offers the model, or else that miner's name.
     * @param miners The number of miners that offer the model.
     * @param embeddings Whether one of these miners makes embeddings.
     */
    public record ModelInfo(
            @SerializedName("id") String id,
            @SerializedName("created") long created,
            @SerializedName("owned_by") String ownedBy,
            @SerializedName("miners") long miners,
            @SerializedName("embeddings") boolean embeddings) {}

    /**
     * How many miners of each sort there are.
     *
     * @param dedicatedCount Dedicated miners.
     * @param ephemeralCount Miners that come and go.
     * @param totalCount Both.
     */
    public record NodeStats(
            @SerializedName("dedicated_count") long dedicatedCount,
            @SerializedName("ephemeral_count") long ephemeralCount,
            @SerializedName("total_count") long totalCount) {}

    /**
     * The name of the router, its counts and its offers.
     *
     * @param activeSessions Sessions that take tasks.
     * @param address The address that stands for the router.
     * @param ipAddress The address under which it is reached from outside, as configured.
     * @param name Its configured name.
     * @param nodeStats Its miners.
     * @param totalSessions All sessions.
     * @param version The version of the product.
     * @param models Models that can be asked for.
     * @param capabilities The abilities of the router: <code>completions</code>, <code>chat</code>,
     * <code>embeddings</code>, <code>streaming</code> ...
     * @param maxContextTokens The greatest context of its miners; 0 where none says.
     */
    public record NodeInfo(
            @SerializedName("active_sessions") long activeSessions,
            @SerializedName("address") String address,
            @SerializedName("ip_address") String ipAddress,
            @SerializedName("name") String name,
            @SerializedName("node_stats") NodeStats nodeStats,
            @SerializedName("total_sessions") long totalSessions,
            @SerializedName("version") String version,
            @SerializedName("models") List<String> models,
            @SerializedName("capabilities") List<String> capabilities,
            @SerializedName("max_context_tokens") long maxContextTokens) {}

    /**
     * How many routers share the database, and their figures together. All are 0 for a router with a store of
     * its own.
     *
     * @param members Routers that use the database, this one too.
     * @param up Those that take tasks.
     * @param draining Those that take no new tasks and end soon.
     * @param unlinked Those to which this router has no link.
     * @param miners Miners of this router and of those to which it has a link.
     * @param queuedTasks Tasks that wait for a miner there.
     * @param runningTasks Tasks that a miner works on there.
     */
    public record FleetStatus(
            @SerializedName("members") long members,
            @SerializedName("up") long up,
            @SerializedName("draining") long draining,
            @SerializedName("unlinked") long unlinked,
            @SerializedName("miners") long miners,
            @SerializedName("queued_tasks") long queuedTasks,
            @SerializedName("running_tasks") long runningTasks) {}

    /**
     * How the router is doing.
     *
     * @param status <code>ok</code>, <code>draining</code>, or <code>store_unavailable</code> while the store
     * refuses to write.
     * @param activeSessions Sessions that take tasks.
     * @param connectedMiners Miners that are there.
     * @param minerCount Alias of <code>connected_miners</code>, for clients that read <code>miner_count</code>.
     * @param activeMiners Miners that get work.
     * @param cpuUsage Per cent of the machine's processors that this process uses; 0 without the listener.
     * @param memoryUsage Resident memory of this process in MiB; 0 without the listener.
     * @param uptime Seconds since the router was opened.
     * @param version The version of the product.
     * @param queuedTasks Tasks that wait for a miner.
     * @param runningTasks Tasks that a miner works on.
     * @param durability <code>full</code>, <code>relaxed</code> or <code>memory</code>.
     * @param store <code>sqlite</code>, <code>postgres</code> or <code>memory</code>.
     * @param fleet The routers that share the database.
     * @param blockHeight Always 0: there is no chain.
     */
    public record NodeStatus(
            @SerializedName("status") String status,
            @SerializedName("active_sessions") long activeSessions,
            @SerializedName("connected_miners") long connectedMiners,
            @SerializedName("miner_count") long minerCount,
            @SerializedName("active_miners") long activeMiners,
            @SerializedName("cpu_usage") double cpuUsage,
            @SerializedName("memory_usage") double memoryUsage,
            @SerializedName("uptime") long uptime,
            @SerializedName("version") String version,
            @SerializedName("queued_tasks") long queuedTasks,
            @SerializedName("running_tasks") long runningTasks,
            @SerializedName("durability") String durability,
            @SerializedName("store") String store,
            @SerializedName("fleet") FleetStatus fleet,
            @SerializedName("block_height") long blockHeight) {}

    /**
     * The counts of a miner since it started.
     *
     * @param minerId The miner's id: the id of its key, or else its name.
     * @param connected Whether the miner is connected to a router.
     * @param router The URL of the present router, or of the last one.
     * @param lastError The reason why the last connection ended or failed; empty: the miner is connected.
     * @param draining Whether the miner drains and takes no new tasks.
     * @param capacity The maximum number of concurrent tasks.
     * @param inFlight The attempts that the miner holds, including answers that wait for their
     * <code>final</code>.
     * @param connections The number of connections that a router has welcomed.
     * @param accepted The number of offers that the miner took.
     * @param rejected The number of offers that the miner did not take.
     * @param finished The number of answers that the backend finished.
     * @param committed The number of answers that became results.
     * @param failed The number of attempts that failed.
     * @param cancelled The number of attempts that were cancelled.
     * @param frames The number of pieces that were sent, including those sent again.
     */
    public record MinerClientStats(
            @SerializedName("miner_id") String minerId,
            @SerializedName("connected") boolean connected,
            @SerializedName("router") String router,
            @SerializedName("last_error") String lastError,
            @SerializedName("draining") boolean draining,
            @SerializedName("capacity") long capacity,
            @SerializedName("in_flight") long inFlight,
            @SerializedName("connections") long connections,
            @SerializedName("accepted") long accepted,
            @SerializedName("rejected") long rejected,
            @SerializedName("finished") long finished,
            @SerializedName("committed") long committed,
            @SerializedName("failed") long failed,
            @SerializedName("cancelled") long cancelled,
            @SerializedName("frames") long frames) {}

    /**
     * The usage of one part.
     *
     * @param requests Tasks that ended. A request that an idempotency key repeats is no further task.
     * @param ok Tasks that ended with an answer.
     * @param disputed Tasks whose answers do not agree.
     * @param failed Tasks that ended without an answer.
     * @param cancelled Tasks that were cancelled.
     * @param expired Tasks whose deadline passed.
     * @param promptTokens Tokens of the prompts.
     * @param completionTokens Tokens that were generated.
     * @param cachedTokens Tokens of the prompts that a model's server had in its cache, as far as the servers
     * say so.
     * @param reasoningTokens Generated tokens that are not part of the answers' texts, as far as the models'
     * servers say so.
     * @param bytes Bytes of the requests and of the answers.
     * @param attempts The number of times that a miner got a task.
     * @param name The part: a day, a key's id, a model, a session's number or a miner's address. Empty: the
     * tasks have none. <code>other</code>: tasks whose day had no row left
     * (<code>retention.max_usage_rows</code>).
     * @param totalTokens The sum of the tokens of prompts and answers.
     * @param cost The cost of the tokens of models that have a price (<code>prices.model</code>), as an exact
     * decimal number in a text. <code>null</code>: no model of the part has a price.
     * @param unpricedTokens The tokens of models without a price, which <code>cost</code> does not contain.
     */
    public record UsagePart(
            @SerializedName("requests") long requests,
            @SerializedName("ok") long ok,
            @SerializedName("disputed") long disputed,
            @SerializedName("failed") long failed,
            @SerializedName("cancelled") long cancelled,
            @SerializedName("expired") long expired,
            @SerializedName("prompt_tokens") long promptTokens,
            @SerializedName("completion_tokens") long completionTokens,
            @SerializedName("cached_tokens") long cachedTokens,
            @SerializedName("reasoning_tokens") long reasoningTokens,
            @SerializedName("bytes") long bytes,
            @SerializedName("attempts") long attempts,
            @SerializedName("name") String name,
            @SerializedName("total_tokens") long totalTokens,
            @SerializedName("cost") String cost,
            @SerializedName("unpriced_tokens") long unpricedTokens) {}

    /**
     * The limits of a key. Each limit is at least 1; a limit that is missing does not bind.
     *
     * @param requestsPerMinute Requests in one minute, on any route, also those that only read.
     * @param tasksPerMinute Tasks that are submitted in one minute.
     * @param tokensPerMinute Tokens of prompts and answers in one minute.
     * @param tokensPerDay Tokens of prompts and answers on one day in UTC.
     * @param tokensPerMonth Tokens of prompts and answers in one month in UTC.
     * @param concurrentTasks Tasks that have not ended.
     * @param concurrentStreams Answers that are being streamed.
     */
    public record KeyLimits(
            @SerializedName("requests_per_minute") Long requestsPerMinute,
            @SerializedName("tasks_per_minute") Long tasksPerMinute,
            @SerializedName("tokens_per_minute") Long tokensPerMinute,
            @SerializedName("tokens_per_day") Long tokensPerDay,
            @SerializedName("tokens_per_month") Long tokensPerMonth,
            @SerializedName("concurrent_tasks") Long concurrentTasks,
            @SerializedName("concurrent_streams") Long concurrentStreams) {}

    /**
     * The limits of a session, which hold for all keys that use it. Each limit is at least 1; a limit that is
     * missing does not bind.
     *
     * @param requestsPerMinute Requests in one minute that submit a task to it, also those that are refused.
     * @param tasksPerMinute Tasks in one minute.
     * @param tokensPerMinute Tokens of prompts and answers in one minute.
     * @param tokensPerDay Tokens of prompts and answers on one day in UTC.
     * @param tokensPerMonth Tokens of prompts and answers in one month in UTC.
     * @param concurrentTasks Tasks that have not ended.
     * @param concurrentStreams Answers that a listener streams.
     */
    public record SessionQuota(
            @SerializedName("requests_per_minute") Long requestsPerMinute,
            @SerializedName("tasks_per_minute") Long tasksPerMinute,
            @SerializedName("tokens_per_minute") Long tokensPerMinute,
            @SerializedName("tokens_per_day") Long tokensPerDay,
            @SerializedName("tokens_per_month") Long tokensPerMonth,
            @SerializedName("concurrent_tasks") Long concurrentTasks,
            @SerializedName("concurrent_streams") Long concurrentStreams) {}

    /**
     * A token's record. The secret is never kept, only its hash.
     *
     * @param id The public part of the token: <code>ctr_&lt;id&gt;_&lt;secret&gt;</code>.
     * @param name A name for people.
     * @param hash SHA-256 of the secret, hexadecimal.
     * @param scopes The scopes: <code>submit</code>, <code>read</code>, <code>admin</code>, <code>miner</code>,
     * <code>enrol</code>.
     * @param sessions The only sessions that the key may use; empty: all sessions.
     * @param createdAt When the key was made, in Unix seconds.
     * @param expiresAt The time from which on the key is refused, in Unix seconds; 0: never.
     * @param models The only models that tasks of the key may use, or that a miner with the key may serve;
     * empty: all models.
     * @param owner For a miner's key: the person or company that runs the miner.
     * @param limits The key's limits.
     */
    public record ApiKey(
            @SerializedName("id") String id,
            @SerializedName("name") String name,
            @SerializedName("hash") String hash,
            @SerializedName("scopes") List<String> scopes,
            @SerializedName("sessions") List<Long> sessions,
            @SerializedName("created_at") long createdAt,
            @SerializedName("expires_at") long expiresAt,
            @SerializedName("models") List<String> models,
            @SerializedName("owner") String owner,
            @SerializedName("limits") KeyLimits limits) {}

    /**
     * A key that was just created, with its token, which is never shown again.
     *
     * @param id The public part of the token: <code>ctr_&lt;id&gt;_&lt;secret&gt;</code>.
     * @param name A name for people.
     * @param hash SHA-256 of the secret, hexadecimal.
     * @param scopes The scopes: <code>submit</code>, <code>read</code>, <code>admin</code>, <code>miner</code>,
     * <code>enrol</code>.
     * @param sessions The only sessions that the key may use; empty: all sessions.
     * @param createdAt When the key was made, in Unix seconds.
     * @param expiresAt The time from which on the key is refused, in Unix seconds; 0: never.
     * @param models The only models that tasks of the key may use, or that a miner with the key may serve;
     * empty: all models.
     * @param owner For a miner's key: the person or company that runs the miner.
     * @param limits The key's limits.
     * @param token The token: <code>ctr_&lt;id&gt;_&lt;secret&gt;</code>.
     */
    public record NewKey(
            @SerializedName("id") String id,
            @SerializedName("name") String name,
            @SerializedName("hash") String hash,
            @SerializedName("scopes") List<String> scopes,
            @SerializedName("sessions") List<Long> sessions,
            @SerializedName("created_at") long createdAt,
            @SerializedName("expires_at") long expiresAt,
            @SerializedName("models") List<String> models,
            @SerializedName("owner") String owner,
            @SerializedName("limits") KeyLimits limits,
            @SerializedName("token") String token) {}

    /**
     * Usage, by parts.
     *
     * @param by The parts by which usage is told apart: <code>day</code>, <code>key</code>, <code>model</code>,
     * <code>session</code> or <code>miner</code>.
     * @param from The first day.
     * @param to The last day.
     * @param count The number of parts on all pages.
     * @param currency The currency of every <code>cost</code> (<code>prices.currency</code>). <code>null</code>:
     * no model has a price.
     * @param usage The parts of this page, in order.
     */
    public record UsageReport(
            @SerializedName("by") String by,
            @SerializedName("from") String from,
            @SerializedName("to") String to,
            @SerializedName("count") long count,
            @SerializedName("currency") String currency,
            @SerializedName("usage") List<UsagePart> usage) {}
}
