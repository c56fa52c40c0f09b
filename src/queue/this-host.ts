import type { HostRole } from '../config/host-roles.js';
import { newId } from '../common/ids.js';

/** This process among the hosts of its database. */
export class ThisHost {
  /** Of this process: a restarted host is another one, which is how its lost runs are told. */
  readonly id = newId();

  constructor(readonly roles: readonly HostRole[]) {}

  has(role: HostRole): boolean {
    return this.roles.includes(role);
  }
}
