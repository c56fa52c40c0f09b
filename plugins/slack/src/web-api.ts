import type { HttpTemplate, JsonObject, JsonValue } from '@stepwell/plugin-sdk';

/** A method of Slack's Web API that takes JSON: https://docs.slack.dev/apis/web-api */
export function post(
  method: string,
  parts: { body: JsonValue; output: JsonObject; okWhen?: string },
): HttpTemplate {
  return {
    method: 'POST',
    url: `{{ credential.base_url }}/${method}`,
    // Without a charset, Slack adds a warning to each answer.
    headers: { 'content-type': 'application/json; charset=utf-8' },
    ...answers,
    ...parts,
  };
}

/** One that reads; those take no JSON. */
export function get(
  method: string,
  parts: { query: JsonObject; output: JsonObject },
): HttpTemplate {
  return { method: 'GET', url: `{{ credential.base_url }}/${method}`, ...answers, ...parts };
}

/** Slack answers 200 to nearly everything; `ok` and `error` say what it means. */
const answers = {
  okWhen: 'response.body.ok == true',
  errorMessage:
    '{{ response.body.error == null ? "" : concat("Slack: ", response.body.error, response.body.needed == null ? "" : concat(" (needs the scope ", response.body.needed, ")"), response.body.response_metadata.messages == null ? "" : concat(" ", join(response.body.response_metadata.messages, "; ")), response.body.error == "not_in_channel" ? " (invite the bot to the channel)" : response.body.error == "channel_not_found" ? " (there is none, or it is a private one that the bot is not in)" : "") }}',
  errorCode: [
    codeFor('provider.auth_failed', [
      'invalid_auth',
      'not_authed',
      'token_revoked',
      'token_expired',
      'account_inactive',
      'missing_scope',
      'no_permission',
      'not_allowed_token_type',
    ]),
    codeFor('provider.rate_limited', ['ratelimited', 'rate_limited']),
    codeFor('provider.unavailable', ['internal_error', 'fatal_error', 'service_unavailable']),
    'null',
  ].join(' : '),
} as const;

/** The beginning of a condition, which what follows after ":" ends. */
function codeFor(code: string, errors: readonly string[]): string {
  return `contains(split("${errors.join(' ')}", " "), default(response.body.error, "")) ? "${code}"`;
}
