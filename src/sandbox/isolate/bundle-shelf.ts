/** What a child holds of bundles, least recently used first. The host decides what the child drops. */
export class BundleShelf {
  private readonly sizes = new Map<string, number>();
  private total = 0;

  /** Whether the child has it; counts as a use. */
  use(digest: string): boolean {
    const bytes = this.sizes.get(digest);
    if (bytes === undefined) return false;
    this.sizes.delete(digest);
    this.sizes.set(digest, bytes);
    return true;
  }

  /** Notes a bundle that is sent now. @returns digests that the child must drop for it. */
  add(digest: string, bytes: number): string[] {
    this.sizes.set(digest, bytes);
    this.total += bytes;
    const dropped: string[] = [];
    for (const [oldest, size] of this.sizes) {
      if (oldest === digest || (this.sizes.size <= MAX_BUNDLES && this.total <= MAX_BYTES)) break;
      this.sizes.delete(oldest);
      this.total -= size;
      dropped.push(oldest);
    }
    return dropped;
  }
}

const MAX_BUNDLES = 16;
const MAX_BYTES = 12 * 1024 * 1024;
