import { Injectable } from '@nestjs/common';

export type FinishedStatus = 'success' | 'error' | 'cancelled';

export interface FlushFigures {
  /** Runs and entries of their journals. */
  rows: number;
  seconds: number;
  hasFailed: boolean;
}

/** What the engine counts on this host: plain numbers, which cost it nothing and which `/metrics` reads. */
@Injectable()
export class EngineMetrics {
  accepted = 0;
  readonly finished: Record<FinishedStatus, number> = { success: 0, error: 0, cancelled: 0 };
  /** Writes that wait for a lane of the committer. */
  countWaiting: () => number = () => 0;
  private hearFlush: (flush: FlushFigures) => void = () => undefined;

  /** A new run is durable; not a repeated request for one. */
  noteAccepted(): void {
    this.accepted++;
  }

  /** The end of a run is durable. */
  noteFinished(status: FinishedStatus): void {
    this.finished[status]++;
  }

  /** One flush of the committer, from its begin to its answer. */
  noteFlush(flush: FlushFigures): void {
    this.hearFlush(flush);
  }

  /** Does one, and takes note of it. */
  async timeFlush<T>(writes: readonly { entries: number }[], flush: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    const rows = writes.reduce((sum, { entries }) => sum + 1 + entries, 0);
    const tell = (hasFailed: boolean): void => {
      this.noteFlush({ rows, seconds: (performance.now() - begin) / 1_000, hasFailed });
    };
    try {
      const answer = await flush();
      tell(false);
      return answer;
    } catch (error) {
      tell(true);
      throw error;
    }
  }

  onFlush(listener: (flush: FlushFigures) => void): void {
    this.hearFlush = listener;
  }
}
