import type { WebhookFacts } from './sql/resolve-webhooks.js';

/** Answers many paths in one query; those that aren't there are missing. */
export type ResolvePaths = (paths: readonly string[]) => Promise<Map<string, WebhookFacts>>;

/**
 * Looks webhooks up for calls. While one query is under way the calls that come meanwhile gather for
 * the next, so that the database is asked once for hundreds of them; a lone one is asked for at once.
 * Each is answered by a query that began after it came: nothing is cached, and a webhook that was deleted
 * ends with the next call.
 */
export class WebhookLookups {
  private gathering: Batch | null = null;
  private isAsking = false;

  constructor(private readonly resolve: ResolvePaths) {}

  async find(path: string): Promise<WebhookFacts | null> {
    const batch = (this.gathering ??= { paths: new Set(), answer: Promise.withResolvers() });
    batch.paths.add(path);
    if (!this.isAsking) void this.ask();
    return (await batch.answer.promise).get(path) ?? null;
  }

  private async ask(): Promise<void> {
    this.isAsking = true;
    for (let batch = this.take(); batch; batch = this.take()) {
      try {
        batch.answer.resolve(await this.resolve([...batch.paths]));
      } catch (error) {
        batch.answer.reject(error);
      }
    }
    this.isAsking = false;
  }

  private take(): Batch | null {
    const batch = this.gathering;
    this.gathering = null;
    return batch;
  }
}

interface Batch {
  paths: Set<string>;
  answer: PromiseWithResolvers<Map<string, WebhookFacts>>;
}
