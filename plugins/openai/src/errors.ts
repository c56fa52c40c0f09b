import type { HttpTemplate } from '@stepwell/plugin-sdk';

/**
 * How a failed request is reported. A used-up quota is answered with 429, too, but waiting doesn't
 * bring it back; anything else goes by its status. Compatible services put their words elsewhere, and
 * some say 200 to an error, or to a base URL that leads to their web page.
 * @param proof what is there in every real answer
 */
export function failureUnless(
  proof: string,
  action: string,
): Pick<HttpTemplate, 'okWhen' | 'errorMessage' | 'errorCode'> {
  const noAnswer = `"the answer is none of ${action}: does the credential's base_url end with the version, such as /v1?"`;
  return {
    okWhen: `response.status >= 200 && response.status <= 299 && ${proof} != null`,
    errorMessage: `{{ response.body.error.message ?? response.body.error ?? response.body.detail ?? response.body.message ?? (response.status <= 299 ? ${noAnswer} : "") }}`,
    errorCode:
      'response.body.error.code == "insufficient_quota" || response.body.error.type == "insufficient_quota" ? "provider.rejected" : null',
  };
}

/** Token counts as the service reports them; compatible services leave parts out. */
export const usage = { type: ['object', 'null'] } as const;
