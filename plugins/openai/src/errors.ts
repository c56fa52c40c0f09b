/**
 * How a failed request is reported. A used-up quota is answered with 429, too, but waiting doesn't
 * bring it back; anything else goes by its status.
 */
export const failure = {
  errorMessage: '{{ response.body.error.message }}',
  errorCode:
    'response.body.error.code == "insufficient_quota" || response.body.error.type == "insufficient_quota" ? "provider.rejected" : null',
} as const;

/** Token counts as the service reports them; compatible services leave parts out. */
export const usage = { type: ['object', 'null'] } as const;
