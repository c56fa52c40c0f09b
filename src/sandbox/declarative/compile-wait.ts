import type { WaitTemplate } from '@stepwell/plugin-sdk';

import type { JsonObject, JsonValue } from '../../common/json.js';
import type { TemplateCompiler } from './compile-template.js';
import type { TemplateRenderer } from './render-template.js';
import type { TemplateNames } from './template-names.js';
import type { Template } from './template.js';

/** What a step waits for, ready to be said for one input. */
export interface CompiledWait {
  readonly kind: WaitTemplate['kind'];
  readonly members: readonly (readonly [name: string, value: Template])[];
}

/** Compiles a wait template; what a member that is no template can't be is reported here already. */
export function compileWait(
  wait: WaitTemplate | undefined,
  names: TemplateNames,
  compiler: TemplateCompiler,
): CompiledWait {
  if (wait === undefined) {
    compiler.report('/wait', 'is missing: an action of the form "wait" has something to wait for');
    return { kind: 'timer', members: [] };
  }
  const { kind, ...given } = wait;
  const members = Object.entries<JsonValue | undefined>(given).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const pointer = `/wait/${name}`;
    const template = compiler.template(value, { pointer, names });
    // A template that is broken compiles to a constant, too.
    const isConstant = template.kind === 'constant' && template.value === value;
    const detail = isConstant ? refuseConstant(name, value) : null;
    if (detail !== null) compiler.report(pointer, detail);
    return [[name, template] as const];
  });
  return { kind, members };
}

/** The request that a wait template gives: what is absent or null is left out. The engine checks it. */
export function renderWait(
  { kind, members }: CompiledWait,
  renderer: TemplateRenderer,
): JsonObject {
  const given = members.flatMap(([name, template]) => {
    const value = renderer.render(template) ?? null;
    return value === null ? [] : [[name, value] as const];
  });
  return { kind, ...Object.fromEntries(given) };
}

const MAX_SECONDS = 31_536_000;

function refuseConstant(name: string, value: JsonValue): string | null {
  switch (name) {
    case 'seconds':
      return isWithin(value, 0) ? null : `must be 0 to ${String(MAX_SECONDS)} seconds`;
    case 'timeoutSeconds':
      return isWithin(value, 1) ? null : `must be 1 to ${String(MAX_SECONDS)} seconds`;
    case 'until':
    case 'message':
    case 'planId':
      return typeof value === 'string' && value !== '' ? null : 'must be a text';
    default:
      return null;
  }
}

function isWithin(value: JsonValue, leastSeconds: number): boolean {
  return typeof value === 'number' && value >= leastSeconds && value <= MAX_SECONDS;
}
