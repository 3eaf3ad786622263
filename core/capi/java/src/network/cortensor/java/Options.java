// Made from the schema by `cargo xtask gen`; do not edit.
package network.cortensor.java;

import java.util.List;
import java.util.Map;

/** The options of tasks, sessions, miners and queries, and the answers of miners. Every member may be left out. */
public final class Options {
    private Options() {}

    /**
     * The hardware of a miner, as the miner describes it.
     */
    public static final class HardwareOptions extends Fields<HardwareOptions> {
        /** No member is given yet. */
        public HardwareOptions() {}

        /**
         * The accelerator, at most 256 bytes.
         *
         * @param value the value
         * @return these options
         */
        public HardwareOptions gpu(String value) {
            return set("gpu", value);
        }

        /**
         * Its memory, in MiB; 0 where it does not say.
         *
         * @param value the value
         * @return these options
         */
        public HardwareOptions vram(long value) {
            return set("vram", value);
        }

        /**
         * The processor, at most 256 bytes.
         *
         * @param value the value
         * @return these options
         */
        public HardwareOptions cpu(String value) {
            return set("cpu", value);
        }
    }

    /**
     * A model of a miner, as the miner describes it. The router checks none of it but the name.
     */
    public static final class ModelOptions extends Fields<ModelOptions> {
        /** No member is given yet. */
        public ModelOptions() {}

        /**
         * Its name, as it is asked for; 1 to 256 bytes.
         *
         * @param value the value
         * @return these options
         */
        public ModelOptions id(String value) {
            return set("id", value);
        }

        /**
         * A digest of its weights, at most 256 bytes.
         *
         * @param value the value
         * @return these options
         */
        public ModelOptions digest(String value) {
            return set("digest", value);
        }

        /**
         * Its quantization (<code>Q4_1</code>, <code>fp8</code> ...), at most 256 bytes: answers are compared
         * among equals.
         *
         * @param value the value
         * @return these options
         */
        public ModelOptions quant(String value) {
            return set("quant", value);
        }

        /**
         * The most tokens of prompt and answer together; 0 where it is not known.
         *
         * @param value the value
         * @return these options
         */
        public ModelOptions context(long value) {
            return set("context", value);
        }

        /**
         * The most tokens of an answer; 0 where it is not known.
         *
         * @param value the value
         * @return these options
         */
        public ModelOptions maxOutput(long value) {
            return set("max_output", value);
        }

        /**
         * Whether it is loaded.
         *
         * @param value the value
         * @return these options
         */
        public ModelOptions warm(boolean value) {
            return set("warm", value);
        }

        /**
         * Whether it embeds.
         *
         * @param value the value
         * @return these options
         */
        public ModelOptions embeddings(boolean value) {
            return set("embeddings", value);
        }

        /**
         * Whether it calls tools.
         *
         * @param value the value
         * @return these options
         */
        public ModelOptions tools(boolean value) {
            return set("tools", value);
        }
    }

    /**
     * Tokens of one completion, as the miner counted them (or estimated where it does not count).
     */
    public static final class UsageOptions extends Fields<UsageOptions> {
        /** No member is given yet. */
        public UsageOptions() {}

        /**
         * Tokens that were generated.
         *
         * @param value the value
         * @return these options
         */
        public UsageOptions completionTokens(long value) {
            return set("completion_tokens", value);
        }

        /**
         * Tokens of the prompt.
         *
         * @param value the value
         * @return these options
         */
        public UsageOptions promptTokens(long value) {
            return set("prompt_tokens", value);
        }

        /**
         * Their sum.
         *
         * @param value the value
         * @return these options
         */
        public UsageOptions totalTokens(long value) {
            return set("total_tokens", value);
        }

        /**
         * Tokens of the prompt that the model's server had in its cache, where the server says so.
         *
         * @param value the value
         * @return these options
         */
        public UsageOptions cachedTokens(long value) {
            return set("cached_tokens", value);
        }

        /**
         * Generated tokens that are not part of the answer's text, where the model's server says so.
         *
         * @param value the value
         * @return these options
         */
        public UsageOptions reasoningTokens(long value) {
            return set("reasoning_tokens", value);
        }
    }

    /**
     * The limits of a key. Each limit is at least 1; a limit that is missing does not bind.
     */
    public static final class KeyLimitOptions extends Fields<KeyLimitOptions> {
        /** No member is given yet. */
        public KeyLimitOptions() {}

        /**
         * Requests in one minute, on any route, also those that only read.
         *
         * @param value the value
         * @return these options
         */
        public KeyLimitOptions requestsPerMinute(long value) {
            return set("requests_per_minute", value);
        }

        /**
         * Tasks that are submitted in one minute.
         *
         * @param value the value
         * @return these options
         */
        public KeyLimitOptions tasksPerMinute(long value) {
            return set("tasks_per_minute", value);
        }

        /**
         * Tokens of prompts and answers in one minute.
         *
         * @param value the value
         * @return these options
         */
        public KeyLimitOptions tokensPerMinute(long value) {
            return set("tokens_per_minute", value);
        }

        /**
         * Tokens of prompts and answers on one day in UTC.
         *
         * @param value the value
         * @return these options
         */
        public KeyLimitOptions tokensPerDay(long value) {
            return set("tokens_per_day", value);
        }

        /**
         * Tokens of prompts and answers in one month in UTC.
         *
         * @param value the value
         * @return these options
         */
        public KeyLimitOptions tokensPerMonth(long value) {
            return set("tokens_per_month", value);
        }

        /**
         * Tasks that have not ended.
         *
         * @param value the value
         * @return these options
         */
        public KeyLimitOptions concurrentTasks(long value) {
            return set("concurrent_tasks", value);
        }

        /**
         * Answers that are being streamed.
         *
         * @param value the value
         * @return these options
         */
        public KeyLimitOptions concurrentStreams(long value) {
            return set("concurrent_streams", value);
        }
    }

    /**
     * The limits of a session, which hold for all keys that use it. Each limit is at least 1; a limit that is
     * missing does not bind.
     */
    public static final class SessionQuotaOptions extends Fields<SessionQuotaOptions> {
        /** No member is given yet. */
        public SessionQuotaOptions() {}

        /**
         * Requests in one minute that submit a task to it, also those that are refused.
         *
         * @param value the value
         * @return these options
         */
        public SessionQuotaOptions requestsPerMinute(long value) {
            return set("requests_per_minute", value);
        }

        /**
         * Tasks in one minute.
         *
         * @param value the value
         * @return these options
         */
        public SessionQuotaOptions tasksPerMinute(long value) {
            return set("tasks_per_minute", value);
        }

        /**
         * Tokens of prompts and answers in one minute.
         *
         * @param value the value
         * @return these options
         */
        public SessionQuotaOptions tokensPerMinute(long value) {
            return set("tokens_per_minute", value);
        }

        /**
         * Tokens of prompts and answers on one day in UTC.
         *
         * @param value the value
         * @return these options
         */
        public SessionQuotaOptions tokensPerDay(long value) {
            return set("tokens_per_day", value);
        }

        /**
         * Tokens of prompts and answers in one month in UTC.
         *
         * @param value the value
         * @return these options
         */
        public SessionQuotaOptions tokensPerMonth(long value) {
            return set("tokens_per_month", value);
        }

        /**
         * Tasks that have not ended.
         *
         * @param value the value
         * @return these options
         */
        public SessionQuotaOptions concurrentTasks(long value) {
            return set("concurrent_tasks", value);
        }

        /**
         * Answers that a listener streams.
         *
         * @param value the value
         * @return these options
         */
        public SessionQuotaOptions concurrentStreams(long value) {
            return set("concurrent_streams", value);
        }
    }

    /**
     * A call of a tool, whole. If a miner gives no id, the router makes one.
     */
    public static final class GivenToolCall extends Fields<GivenToolCall> {
        /** No member is given yet. */
        public GivenToolCall() {}

        /**
         * Its id, by which the tool's answer names it.
         *
         * @param value the value
         * @return these options
         */
        public GivenToolCall id(String value) {
            return set("id", value);
        }

        /**
         * <code>function</code>
         *
         * @param value the value
         * @return these options
         */
        public GivenToolCall type(String value) {
            return set("type", value);
        }

        /**
         * The function that is called, with its arguments.
         *
         * @param value the value
         * @return these options
         */
        public GivenToolCall function(GivenFunction value) {
            return set("function", value);
        }
    }

    /**
     * The name and the arguments of a call.
     */
    public static final class GivenFunction extends Fields<GivenFunction> {
        /** No member is given yet. */
        public GivenFunction() {}

        /**
         * The tool's name.
         *
         * @param value the value
         * @return these options
         */
        public GivenFunction name(String value) {
            return set("name", value);
        }

        /**
         * The arguments as JSON text, as in OpenAI's API, or as an object.
         *
         * @param value the value
         * @return these options
         */
        public GivenFunction arguments(Object value) {
            return set("arguments", value);
        }
    }

    /**
     * A piece of a call of a tool. Without an <code>index</code> it is a whole call if it names its tool, and
     * else continues the last one.
     */
    public static final class ToolCallPiece extends Fields<ToolCallPiece> {
        /** No member is given yet. */
        public ToolCallPiece() {}

        /**
         * The number of the call within the answer, from 0.
         *
         * @param value the value
         * @return these options
         */
        public ToolCallPiece index(long value) {
            return set("index", value);
        }

        /**
         * The call's id.
         *
         * @param value the value
         * @return these options
         */
        public ToolCallPiece id(String value) {
            return set("id", value);
        }

        /**
         * <code>function</code>
         *
         * @param value the value
         * @return these options
         */
        public ToolCallPiece type(String value) {
            return set("type", value);
        }

        /**
         * The function that is called, or a piece of it.
         *
         * @param value the value
         * @return these options
         */
        public ToolCallPiece function(FunctionPiece value) {
            return set("function", value);
        }
    }

    /**
     * A piece of the name and the arguments of a call.
     */
    public static final class FunctionPiece extends Fields<FunctionPiece> {
        /** No member is given yet. */
        public FunctionPiece() {}

        /**
         * The tool's name.
         *
         * @param value the value
         * @return these options
         */
        public FunctionPiece name(String value) {
            return set("name", value);
        }

        /**
         * The arguments as JSON text, as in OpenAI's API, or as an object.
         *
         * @param value the value
         * @return these options
         */
        public FunctionPiece arguments(Object value) {
            return set("arguments", value);
        }
    }

    /**
     * The options beside a prompt. Members for the miner alone go into <code>extra</code>.
     */
    public abstract static sealed class RequestFields extends Fields<Request> permits Request {
        RequestFields() {}

        /**
         * The conversation so far.
         *
         * @param value the value
         * @return these options
         */
        public Request messages(List<Map<String, ?>> value) {
            return set("messages", value);
        }

        /**
         * The model, as <code>/v1/models</code> lists it; given back in the answer. Under <code>/v1</code>,
         * <code>session-&lt;id&gt;</code> stands for that session and its model, and a model that no miner
         * offers is a 404; under <code>/api</code> such a model stands for any.
         *
         * @param value the value
         * @return these options
         */
        public Request model(String value) {
            return set("model", value);
        }

        /**
         * The most tokens to generate; what is over the router's limit is cut to it.
         *
         * @param value the value
         * @return these options
         */
        public Request maxTokens(long value) {
            return set("max_tokens", value);
        }

        /**
         * Newer name of <code>max_tokens</code>, which wins where both are given; what is over the router's
         * limit is cut to it.
         *
         * @param value the value
         * @return these options
         */
        public Request maxCompletionTokens(long value) {
            return set("max_completion_tokens", value);
        }

        /**
         * Passes through: the sampling temperature.
         *
         * @param value the value
         * @return these options
         */
        public Request temperature(double value) {
            return set("temperature", value);
        }

        /**
         * Passes through: nucleus sampling, from 0 to 1.
         *
         * @param value the value
         * @return these options
         */
        public Request topP(double value) {
            return set("top_p", value);
        }

        /**
         * Passes through: the number of candidates.
         *
         * @param value the value
         * @return these options
         */
        public Request topK(long value) {
            return set("top_k", value);
        }

        /**
         * Passes through: the least share of the likeliest token's probability.
         *
         * @param value the value
         * @return these options
         */
        public Request minP(double value) {
            return set("min_p", value);
        }

        /**
         * Passes through: the texts at which the answer stops.
         *
         * @param value the value
         * @return these options
         */
        public Request stop(Object value) {
            return set("stop", value);
        }

        /**
         * Passes through: the seed of the sampling.
         *
         * @param value the value
         * @return these options
         */
        public Request seed(long value) {
            return set("seed", value);
        }

        /**
         * Passes through: a penalty for tokens that came before.
         *
         * @param value the value
         * @return these options
         */
        public Request presencePenalty(double value) {
            return set("presence_penalty", value);
        }

        /**
         * Passes through: a penalty for tokens that came often.
         *
         * @param value the value
         * @return these options
         */
        public Request frequencyPenalty(double value) {
            return set("frequency_penalty", value);
        }

        /**
         * Passes through: a factor against tokens that came before.
         *
         * @param value the value
         * @return these options
         */
        public Request repetitionPenalty(double value) {
            return set("repetition_penalty", value);
        }

        /**
         * Passes through: what is added to the scores of tokens.
         *
         * @param value the value
         * @return these options
         */
        public Request logitBias(Map<String, ?> value) {
            return set("logit_bias", value);
        }

        /**
         * Passes through: whether, or how many, log probabilities are wanted.
         *
         * @param value the value
         * @return these options
         */
        public Request logprobs(Object value) {
            return set("logprobs", value);
        }

        /**
         * Passes through: how many candidates each token tells.
         *
         * @param value the value
         * @return these options
         */
        public Request topLogprobs(long value) {
            return set("top_logprobs", value);
        }

        /**
         * Passes through: the tools that the model may call.
         *
         * @param value the value
         * @return these options
         */
        public Request tools(List<Map<String, ?>> value) {
            return set("tools", value);
        }

        /**
         * Passes through: which tool to call.
         *
         * @param value the value
         * @return these options
         */
        public Request toolChoice(Object value) {
            return set("tool_choice", value);
        }

        /**
         * Passes through: whether several tools may be called at once.
         *
         * @param value the value
         * @return these options
         */
        public Request parallelToolCalls(boolean value) {
            return set("parallel_tool_calls", value);
        }

        /**
         * Passes through: how long the model may think before it speaks.
         *
         * @param value the value
         * @return these options
         */
        public Request reasoningEffort(String value) {
            return set("reasoning_effort", value);
        }

        /**
         * Passes through: the form of the answer.
         *
         * @param value the value
         * @return these options
         */
        public Request responseFormat(Map<String, ?> value) {
            return set("response_format", value);
        }

        /**
         * Passes through: who asks.
         *
         * @param value the value
         * @return these options
         */
        public Request user(String value) {
            return set("user", value);
        }

        /**
         * Passes through: how many numbers a vector has.
         *
         * @param value the value
         * @return these options
         */
        public Request dimensions(long value) {
            return set("dimensions", value);
        }

        /**
         * 0: the model's chat template is applied; 1: the prompt goes to the model as it is.
         *
         * @param value the value
         * @return these options
         */
        public Request promptType(long value) {
            return set("prompt_type", value);
        }

        /**
         * A text with <code>{prompt}</code> in it, put around the prompt.
         *
         * @param value the value
         * @return these options
         */
        public Request promptTemplate(String value) {
            return set("prompt_template", value);
        }

        /**
         * Whether the answer is wanted as it comes, as server-sent events.
         *
         * @param value the value
         * @return these options
         */
        public Request stream(boolean value) {
            return set("stream", value);
        }

        /**
         * Seconds until the task is given up; what is over the router's limit is cut to it.
         *
         * @param value the value
         * @return these options
         */
        public Request timeout(double value) {
            return set("timeout", value);
        }

        /**
         * Seconds within which several answers must be in: then those that are in are compared; what is over the
         * router's limit is cut to it.
         *
         * @param value the value
         * @return these options
         */
        public Request precommitTimeout(double value) {
            return set("precommit_timeout", value);
        }

        /**
         * The most miners that answer, each on its own: as many as there are, up to
         * <code>limits.max_answers</code>.
         *
         * @param value the value
         * @return these options
         */
        public Request maxMiners(long value) {
            return set("max_miners", value);
        }

        /**
         * How the task goes on when the miner is lost after tokens were seen.
         *
         * @param value the value
         * @return these options
         */
        public Request onFailure(String value) {
            return set("on_failure", value);
        }

        /**
         * The band: a higher one is served first. Missing: the session's.
         *
         * @param value the value
         * @return these options
         */
        public Request priority(long value) {
            return set("priority", value);
        }

        /**
         * The caller's own reference, given back in the task.
         *
         * @param value the value
         * @return these options
         */
        public Request clientReference(String value) {
            return set("client_reference", value);
        }

        /**
         * Whether special tokens and leading blanks stay in the text.
         *
         * @param value the value
         * @return these options
         */
        public Request raw(boolean value) {
            return set("raw", value);
        }

        /**
         * Where the end of the task is sent: <code>{"url": "https://...", "secret": "whsec_..."}</code>, or the
         * URL alone.
         *
         * @param value the value
         * @return these options
         */
        public Request webhook(Object value) {
            return set("webhook", value);
        }

        /**
         * The text to embed, or several, in place of a prompt.
         *
         * @param value the value
         * @return these options
         */
        public Request input(Object value) {
            return set("input", value);
        }

        /**
         * A request with an equal key and equal content joins the task that is there.
         *
         * @param value the value
         * @return these options
         */
        public Request idempotencyKey(String value) {
            return set("idempotency_key", value);
        }

        /**
         * The name of the caller for whom the task is counted, as the usage shows it.
         *
         * @param value the value
         * @return these options
         */
        public Request keyId(String value) {
            return set("key_id", value);
        }

        /**
         * Whether the task goes on when nobody waits for it.
         *
         * @param value the value
         * @return these options
         */
        public Request detach(boolean value) {
            return set("detach", value);
        }

        /**
         * Any other members: they reach the miner untouched.
         *
         * @param value the value
         * @return these options
         */
        public Request extra(Map<String, ?> value) {
            return set("extra", value);
        }

        /**
         * The rule that decides: <code>first</code>, <code>quorum</code>, <code>medoid</code> or
         * <code>all</code>. Default <code>quorum</code>.
         *
         * @param value the value
         * @return these options
         */
        public Request validationPolicy(String value) {
            return set("validation_policy", value);
        }

        /**
         * When two answers match: <code>exact</code>, <code>normalized</code>, <code>json</code>,
         * <code>lexical</code>, <code>embedding</code> or <code>verdict</code>. Default <code>normalized</code>.
         *
         * @param value the value
         * @return these options
         */
        public Request match(String value) {
            return set("match", value);
        }

        /**
         * From this score on two answers match, 0 to 1. Default 0.5 for <code>lexical</code>, 0.85 for
         * <code>embedding</code>, else 1.
         *
         * @param value the value
         * @return these options
         */
        public Request minScore(double value) {
            return set("min_score", value);
        }

        /**
         * Whether one more miner is asked where the answers do not agree. Default no; of no use to
         * <code>all</code>.
         *
         * @param value the value
         * @return these options
         */
        public Request tieBreak(boolean value) {
            return set("tie_break", value);
        }

        /**
         * How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001.
         *
         * @param value the value
         * @return these options
         */
        public Request matchTolerance(double value) {
            return set("match_tolerance", value);
        }

        /**
         * The only places of JSON that are compared (RFC 6901), at most 32; none: the whole.
         *
         * @param value the value
         * @return these options
         */
        public Request matchPointers(List<String> value) {
            return set("match_pointers", value);
        }

        /**
         * The model that embeds the answers; none: any that a miner embeds with.
         *
         * @param value the value
         * @return these options
         */
        public Request matchModel(String value) {
            return set("match_model", value);
        }
    }

    /**
     * A session to be created. Only <code>name</code> is required; Cortensor's published camelCase names, such
     * as <code>minNumOfNodes</code>, are taken too.
     */
    public static final class SessionOptions extends Fields<SessionOptions> {
        /** No member is given yet. */
        public SessionOptions() {}

        /**
         * The rule that decides: <code>first</code>, <code>quorum</code>, <code>medoid</code> or
         * <code>all</code>. Default <code>quorum</code>.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions validationPolicy(String value) {
            return set("validation_policy", value);
        }

        /**
         * When two answers match: <code>exact</code>, <code>normalized</code>, <code>json</code>,
         * <code>lexical</code>, <code>embedding</code> or <code>verdict</code>. Default <code>normalized</code>.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions match(String value) {
            return set("match", value);
        }

        /**
         * From this score on two answers match, 0 to 1. Default 0.5 for <code>lexical</code>, 0.85 for
         * <code>embedding</code>, else 1.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions minScore(double value) {
            return set("min_score", value);
        }

        /**
         * Whether one more miner is asked where the answers do not agree. Default no; of no use to
         * <code>all</code>.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions tieBreak(boolean value) {
            return set("tie_break", value);
        }

        /**
         * How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions matchTolerance(double value) {
            return set("match_tolerance", value);
        }

        /**
         * The only places of JSON that are compared (RFC 6901), at most 32; none: the whole.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions matchPointers(List<String> value) {
            return set("match_pointers", value);
        }

        /**
         * The model that embeds the answers; none: any that a miner embeds with.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions matchModel(String value) {
            return set("match_model", value);
        }

        /**
         * A name for people, 1 to 256 bytes.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions name(String value) {
            return set("name", value);
        }

        /**
         * Anything of the caller's, up to 64 KiB of text or JSON.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions metadata(String value) {
            return set("metadata", value);
        }

        /**
         * The owner; the token's id where it is empty.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions owner(String value) {
            return set("owner", value);
        }

        /**
         * Which miners serve it: 0 ephemeral, 1 dedicated, 2 both.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions mode(long value) {
            return set("mode", value);
        }

        /**
         * How many miners answer each task (0 and 1: one).
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions redundant(long value) {
            return set("redundant", value);
        }

        /**
         * The fewest miners that must be there for the session to be served; while there are fewer, new tasks
         * are refused (<code>too_few_miners</code>); 0: no demand.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions minNumOfNodes(long value) {
            return set("min_num_of_nodes", value);
        }

        /**
         * The most miners that work for it at a time; 0: no limit.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions maxNumOfNodes(long value) {
            return set("max_num_of_nodes", value);
        }

        /**
         * How many answers are validated.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions numOfValidatorNodes(long value) {
            return set("num_of_validator_nodes", value);
        }

        /**
         * Whether ephemeral miners are kept for it alone: as many as <code>min_num_of_nodes</code> or
         * <code>redundant</code> say, at least one.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions reserveEphemeralNodes(boolean value) {
            return set("reserve_ephemeral_nodes", value);
        }

        /**
         * Seconds that a reservation holds after the session's last task; 0:
         * <code>dispatch.reserve_period_secs</code>.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions reservePeriod(long value) {
            return set("reserve_period", value);
        }

        /**
         * The service class, by what is measured of miners. 0: any. 1: at most 10 % errors. 2: at most 5 %
         * errors, 10 tokens/s and 2 s to the first token. 3 and above: at most 2 % errors, 25 tokens/s and 1 s.
         * While no miner meets it, any will do.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions sla(long value) {
            return set("sla", value);
        }

        /**
         * The model of its tasks where they name none.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions model(String value) {
            return set("model", value);
        }

        /**
         * Cortensor's number for a model; kept and given back.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions modelIdentifier(String value) {
            return set("model_identifier", value);
        }

        /**
         * The most tasks it ever takes; 0: no limit.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions maxTaskExecutionCount(long value) {
            return set("max_task_execution_count", value);
        }

        /**
         * The band of its tasks, 0 to 9; a higher band is served first.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions priority(long value) {
            return set("priority", value);
        }

        /**
         * Its share within a band, 1 to 1000; 0 means the default of 1.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions weight(long value) {
            return set("weight", value);
        }

        /**
         * Whether its tasks prefer the miner that served the last one; on by default.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions affinity(boolean value) {
            return set("affinity", value);
        }

        /**
         * The part of ended tasks that is kept: <code>all</code>, <code>result</code> (no prompt) or
         * <code>none</code>.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions retention(String value) {
            return set("retention", value);
        }

        /**
         * The most that its tasks may use together, whoever submits them.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions limits(SessionQuotaOptions value) {
            return set("limits", value);
        }

        /**
         * The models that its tasks may use; empty: all.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions models(List<String> value) {
            return set("models", value);
        }

        /**
         * Unix seconds from which on it takes no new tasks; 0: it does not expire.
         *
         * @param value the value
         * @return these options
         */
        public SessionOptions expiresAt(long value) {
            return set("expires_at", value);
        }
    }

    /**
     * A change of a session. Members that are missing stay as they are.
     */
    public static final class SessionChanges extends Fields<SessionChanges> {
        /** No member is given yet. */
        public SessionChanges() {}

        /**
         * Its name, 1 to 256 bytes.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges name(String value) {
            return set("name", value);
        }

        /**
         * Anything of the caller's, up to 64 KiB.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges metadata(String value) {
            return set("metadata", value);
        }

        /**
         * The model of its tasks where they name none; empty: none.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges model(String value) {
            return set("model", value);
        }

        /**
         * How many miners answer each task (0 and 1: one).
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges redundant(long value) {
            return set("redundant", value);
        }

        /**
         * The most tasks it ever takes; 0: no limit.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges maxTaskExecutionCount(long value) {
            return set("max_task_execution_count", value);
        }

        /**
         * The band of its tasks, 0 to 9; a higher band is served first.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges priority(long value) {
            return set("priority", value);
        }

        /**
         * Its share within a band, 1 to 1000.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges weight(long value) {
            return set("weight", value);
        }

        /**
         * Whether its tasks prefer the miner that served the last one.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges affinity(boolean value) {
            return set("affinity", value);
        }

        /**
         * The part of ended tasks that is kept: <code>all</code>, <code>result</code> (no prompt) or
         * <code>none</code>.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges retention(String value) {
            return set("retention", value);
        }

        /**
         * The fewest miners that must be there for the session to be served; 0: no demand.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges minNumOfNodes(long value) {
            return set("min_num_of_nodes", value);
        }

        /**
         * The most miners that work for it at a time; 0: no limit.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges maxNumOfNodes(long value) {
            return set("max_num_of_nodes", value);
        }

        /**
         * The service class.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges sla(long value) {
            return set("sla", value);
        }

        /**
         * The rule that decides if several miners answer: <code>first</code>, <code>quorum</code>,
         * <code>medoid</code> or <code>all</code>.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges validationPolicy(String value) {
            return set("validation_policy", value);
        }

        /**
         * When two answers match: <code>exact</code>, <code>normalized</code>, <code>json</code>,
         * <code>lexical</code>, <code>embedding</code> or <code>verdict</code>.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges match(String value) {
            return set("match", value);
        }

        /**
         * From this score on two answers match, 0 to 1.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges minScore(double value) {
            return set("min_score", value);
        }

        /**
         * Whether one more miner is asked where the answers do not agree.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges tieBreak(boolean value) {
            return set("tie_break", value);
        }

        /**
         * The most that its tasks may use together, by the names of <code>SessionQuota</code>. A missing member
         * keeps its limit, and <code>null</code> lifts it.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges limits(Map<String, ?> value) {
            return set("limits", value);
        }

        /**
         * The models that its tasks may use; empty: all.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges models(List<String> value) {
            return set("models", value);
        }

        /**
         * Unix seconds from which on it takes no new tasks; 0: it does not expire.
         *
         * @param value the value
         * @return these options
         */
        public SessionChanges expiresAt(long value) {
            return set("expires_at", value);
        }
    }

    /**
     * A miner, as it describes itself when it joins.
     */
    public static final class MinerOptions extends Fields<MinerOptions> {
        /** No member is given yet. */
        public MinerOptions() {}

        /**
         * Its name, unique among the miners that are there; 1 to 128 bytes.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions name(String value) {
            return set("name", value);
        }

        /**
         * The models it serves; empty means any model that is asked for.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions models(List<String> value) {
            return set("models", value);
        }

        /**
         * How many tasks it works on at a time, 1 to 65536.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions capacity(long value) {
            return set("capacity", value);
        }

        /**
         * Its share among equals, 1 to 100.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions weight(long value) {
            return set("weight", value);
        }

        /**
         * The person or company that runs the miner. Answers that are compared come from different owners if
         * there are any.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions owner(String value) {
            return set("owner", value);
        }

        /**
         * Whether it is dedicated to sessions rather than ephemeral.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions dedicated(boolean value) {
            return set("dedicated", value);
        }

        /**
         * Whether it embeds, beside or instead of generating.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions embeddings(boolean value) {
            return set("embeddings", value);
        }

        /**
         * The most tokens of prompt and answer together; 0 where it does not say.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions maxContextTokens(long value) {
            return set("max_context_tokens", value);
        }

        /**
         * The optional abilities of the miner: with <code>continue</code> it goes on from a partial answer of
         * another miner. An upstream with <code>messages</code> or <code>responses</code> takes the bodies of
         * these APIs as they are.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions features(List<String> value) {
            return set("features", value);
        }

        /**
         * Its software and version, in its own words.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions agent(String value) {
            return set("agent", value);
        }

        /**
         * Its hardware, in its own words.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions hardware(HardwareOptions value) {
            return set("hardware", value);
        }

        /**
         * The details of its models beyond their names, as the miner states them.
         *
         * @param value the value
         * @return these options
         */
        public MinerOptions modelDetails(List<ModelOptions> value) {
            return set("model_details", value);
        }
    }

    /**
     * The settings of a miner that works for a distant router.
     */
    public static final class MinerClientSettings extends Fields<MinerClientSettings> {
        /** No member is given yet. */
        public MinerClientSettings() {}

        /**
         * The addresses of the routers: <code>ws://</code> or <code>wss://</code>, a host, and a port. The path
         * <code>/miner/v1</code> is added if there is none. The miner connects to one router at a time, and
         * tries the next one if the connection fails.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings routers(List<String> value) {
            return set("routers", value);
        }

        /**
         * The miner's name, 1 to 128 bytes, unique at its router.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings name(String value) {
            return set("name", value);
        }

        /**
         * The maximum number of concurrent tasks, 1 to 65536. Default 1.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings capacity(long value) {
            return set("capacity", value);
        }

        /**
         * The models that the miner serves; empty: any model.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings models(List<String> value) {
            return set("models", value);
        }

        /**
         * Details of the models, by their id.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings modelDetails(List<ModelOptions> value) {
            return set("model_details", value);
        }

        /**
         * Whether the miner can continue a partial answer of another miner.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings continues(boolean value) {
            return set("continues", value);
        }

        /**
         * Whether the miner is dedicated instead of ephemeral.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings dedicated(boolean value) {
            return set("dedicated", value);
        }

        /**
         * The person or company that runs the miner.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings owner(String value) {
            return set("owner", value);
        }

        /**
         * The miner's hardware.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings hardware(HardwareOptions value) {
            return set("hardware", value);
        }

        /**
         * A token of the scope <code>miner</code>. With <code>key_file</code>: the one-time token that enrols
         * the key, which is needed only once.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings token(String value) {
            return set("token", value);
        }

        /**
         * The file of the miner's own key. The miner makes the file if it does not exist.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings keyFile(String value) {
            return set("key_file", value);
        }

        /**
         * A file of certificates (PEM) to trust instead of the public ones.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings caFile(String value) {
            return set("ca_file", value);
        }

        /**
         * A file with the miner's certificate chain (PEM), for routers that ask for one.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings certFile(String value) {
            return set("cert_file", value);
        }

        /**
         * A file with the private key of that certificate (PEM).
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings certKeyFile(String value) {
            return set("cert_key_file", value);
        }

        /**
         * The time in milliseconds within which the router must have welcomed the miner. Default 10000.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings connectTimeoutMs(long value) {
            return set("connect_timeout_ms", value);
        }

        /**
         * The first window of the wait before a reconnect, in milliseconds. Each further window is twice as
         * long. Default 1000.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings reconnectBaseMs(long value) {
            return set("reconnect_base_ms", value);
        }

        /**
         * The longest window of that wait, in milliseconds. Default 64000.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings reconnectMaxMs(long value) {
            return set("reconnect_max_ms", value);
        }

        /**
         * The maximum size of a frame of the router, in bytes. A larger frame ends the connection. Default 64
         * MiB.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings maxFrameBytes(long value) {
            return set("max_frame_bytes", value);
        }

        /**
         * The maximum bytes that may wait to be sent to the router. Default 64 MiB.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings writeBufferBytes(long value) {
            return set("write_buffer_bytes", value);
        }

        /**
         * The threads of the miner, as in the section <code>runtime</code> of a router's configuration.
         *
         * @param value the value
         * @return these options
         */
        public MinerClientSettings runtime(Map<String, ?> value) {
            return set("runtime", value);
        }
    }

    /**
     * The answer that a miner gives at the end of a job. Every member may be absent.
     */
    public static final class Answer extends Fields<Answer> {
        /** No member is given yet. */
        public Answer() {}

        /**
         * The text. Pieces that were emitted are the text instead.
         *
         * @param value the value
         * @return these options
         */
        public Answer text(String value) {
            return set("text", value);
        }

        /**
         * The model's reasoning before its answer.
         *
         * @param value the value
         * @return these options
         */
        public Answer reasoning(String value) {
            return set("reasoning", value);
        }

        /**
         * The tools that the model calls.
         *
         * @param value the value
         * @return these options
         */
        public Answer toolCalls(List<GivenToolCall> value) {
            return set("tool_calls", value);
        }

        /**
         * The reason for the end of the text; missing: <code>tool_calls</code> if the model calls tools, else
         * <code>stop</code>.
         *
         * @param value the value
         * @return these options
         */
        public Answer finishReason(String value) {
            return set("finish_reason", value);
        }

        /**
         * The token counts. Missing counts are estimated.
         *
         * @param value the value
         * @return these options
         */
        public Answer usage(UsageOptions value) {
            return set("usage", value);
        }

        /**
         * The model that answered.
         *
         * @param value the value
         * @return these options
         */
        public Answer model(String value) {
            return set("model", value);
        }

        /**
         * The vector of the input, or one vector for each of several inputs.
         *
         * @param value the value
         * @return these options
         */
        public Answer embedding(Object value) {
            return set("embedding", value);
        }
    }

    /**
     * A piece of an answer with its text, reasoning and tool calls.
     */
    public static final class PieceParts extends Fields<PieceParts> {
        /** No member is given yet. */
        public PieceParts() {}

        /**
         * A piece of the text.
         *
         * @param value the value
         * @return these options
         */
        public PieceParts text(String value) {
            return set("text", value);
        }

        /**
         * A piece of the model's reasoning.
         *
         * @param value the value
         * @return these options
         */
        public PieceParts reasoning(String value) {
            return set("reasoning", value);
        }

        /**
         * Pieces of the tools that the model calls.
         *
         * @param value the value
         * @return these options
         */
        public PieceParts toolCalls(List<ToolCallPiece> value) {
            return set("tool_calls", value);
        }
    }

    /**
     * A key to be made: the body of <code>POST /api/v1/keys</code> and the flags of <code>key create</code>.
     */
    public static final class KeyOptions extends Fields<KeyOptions> {
        /** No member is given yet. */
        public KeyOptions() {}

        /**
         * A name for people, 1 to 128 bytes.
         *
         * @param value the value
         * @return these options
         */
        public KeyOptions name(String value) {
            return set("name", value);
        }

        /**
         * The scopes: <code>submit</code>, <code>read</code>, <code>admin</code>, <code>miner</code>,
         * <code>enrol</code>. Empty: <code>submit</code> and <code>read</code>.
         *
         * @param value the value
         * @return these options
         */
        public KeyOptions scopes(List<String> value) {
            return set("scopes", value);
        }

        /**
         * The only sessions that the key may use; empty: all sessions.
         *
         * @param value the value
         * @return these options
         */
        public KeyOptions sessions(List<Long> value) {
            return set("sessions", value);
        }

        /**
         * The seconds until the key expires; 0: never, except after one day for the scope <code>enrol</code>.
         *
         * @param value the value
         * @return these options
         */
        public KeyOptions ttlSecs(long value) {
            return set("ttl_secs", value);
        }

        /**
         * The only models that tasks of the key may use, or that a miner with the key may serve; empty: all
         * models.
         *
         * @param value the value
         * @return these options
         */
        public KeyOptions models(List<String> value) {
            return set("models", value);
        }

        /**
         * For a key of miners: the person or company that runs the miner.
         *
         * @param value the value
         * @return these options
         */
        public KeyOptions owner(String value) {
            return set("owner", value);
        }

        /**
         * The key's limits.
         *
         * @param value the value
         * @return these options
         */
        public KeyOptions limits(KeyLimitOptions value) {
            return set("limits", value);
        }
    }

    /**
     * The part of a list that a caller wants.
     */
    public static final class PageQuery extends Fields<PageQuery> {
        /** No member is given yet. */
        public PageQuery() {}

        /**
         * The state of the rows that are wanted.
         *
         * @param value the value
         * @return these options
         */
        public PageQuery state(String value) {
            return set("state", value);
        }

        /**
         * The most rows to list.
         *
         * @param value the value
         * @return these options
         */
        public PageQuery limit(long value) {
            return set("limit", value);
        }

        /**
         * The number of rows to leave out at the beginning.
         *
         * @param value the value
         * @return these options
         */
        public PageQuery offset(long value) {
            return set("offset", value);
        }
    }

    /**
     * The part of a session's tasks that is wanted: the newest page, oldest first inside it, unless
     * <code>offset</code> or <code>order</code> says otherwise.
     */
    public static final class TaskQuery extends Fields<TaskQuery> {
        /** No member is given yet. */
        public TaskQuery() {}

        /**
         * <code>ended</code>, or <code>active</code> for those that have not.
         *
         * @param value the value
         * @return these options
         */
        public TaskQuery state(String value) {
            return set("state", value);
        }

        /**
         * Only tasks of this key.
         *
         * @param value the value
         * @return these options
         */
        public TaskQuery key(String value) {
            return set("key", value);
        }

        /**
         * The most tasks to list.
         *
         * @param value the value
         * @return these options
         */
        public TaskQuery limit(long value) {
            return set("limit", value);
        }

        /**
         * The number of tasks to leave out at the beginning; with <code>order: desc</code> of the newest.
         *
         * @param value the value
         * @return these options
         */
        public TaskQuery offset(long value) {
            return set("offset", value);
        }

        /**
         * <code>asc</code> counts from the oldest; <code>desc</code> from the newest back, newest first.
         *
         * @param value the value
         * @return these options
         */
        public TaskQuery order(String value) {
            return set("order", value);
        }
    }

    /**
     * The usage that is wanted.
     */
    public static final class UsageQuery extends Fields<UsageQuery> {
        /** No member is given yet. */
        public UsageQuery() {}

        /**
         * The parts by which usage is told apart: <code>day</code> (the default), <code>key</code>,
         * <code>model</code>, <code>session</code> or <code>miner</code>.
         *
         * @param value the value
         * @return these options
         */
        public UsageQuery by(String value) {
            return set("by", value);
        }

        /**
         * The first day in UTC, as <code>2026-01-31</code>. Missing: the first of this month.
         *
         * @param value the value
         * @return these options
         */
        public UsageQuery from(String value) {
            return set("from", value);
        }

        /**
         * The last day in UTC. Missing: today.
         *
         * @param value the value
         * @return these options
         */
        public UsageQuery to(String value) {
            return set("to", value);
        }

        /**
         * Only tasks of this key.
         *
         * @param value the value
         * @return these options
         */
        public UsageQuery key(String value) {
            return set("key", value);
        }

        /**
         * Only tasks of the session with this number.
         *
         * @param value the value
         * @return these options
         */
        public UsageQuery session(long value) {
            return set("session", value);
        }

        /**
         * Only tasks for this model.
         *
         * @param value the value
         * @return these options
         */
        public UsageQuery model(String value) {
            return set("model", value);
        }

        /**
         * Only tasks of the miner with this address.
         *
         * @param value the value
         * @return these options
         */
        public UsageQuery miner(String value) {
            return set("miner", value);
        }

        /**
         * The most parts to list.
         *
         * @param value the value
         * @return these options
         */
        public UsageQuery limit(long value) {
            return set("limit", value);
        }

        /**
         * The number of parts to leave out.
         *
         * @param value the value
         * @return these options
         */
        public UsageQuery offset(long value) {
            return set("offset", value);
        }
    }
}
