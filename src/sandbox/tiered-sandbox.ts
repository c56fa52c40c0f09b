import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import type { HostCalls, Sandbox, StepCall } from './sandbox.js';

/** Sends each call to the tier that its action is written for; callers can't tell which one ran. */
export class TieredSandbox implements Sandbox {
  constructor(private readonly tiers: { declarative: Sandbox; isolate: Sandbox }) {}

  async run(call: StepCall, host: HostCalls, signal: AbortSignal): Promise<ProviderResult> {
    switch (call.action.form) {
      case 'http':
      case 'value':
      case 'wait':
        return await this.tiers.declarative.run(call, host, signal);
      case 'code':
        if (call.plugin.tier === 'worker') {
          return stepFailed(
            'plugin.unavailable',
            `the plugin ${call.plugin.id} asks for the worker tier, which is off on this host`,
          );
        }
        return await this.tiers.isolate.run(call, host, signal);
    }
  }
}
