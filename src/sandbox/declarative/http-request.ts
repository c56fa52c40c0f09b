import { evaluateExpression } from '../../common/expression/evaluate.js';
import { estimateJsonSize, isTruthy, writeAsText } from '../../common/expression/values.js';
import { isJsonObject } from '../../common/json.js';
import type { JsonObject, JsonValue } from '../../common/json.js';
import { MAX_MANIFEST_WALL_MS } from '../sandbox.js';
import type { OutboundRequest } from '../sandbox.js';
import { isMethod, isTimeoutMs } from './compile-http.js';
import type { CompiledHttp } from './compile-http.js';
import type { TemplateRenderer } from './render-template.js';
import { TemplateFault } from './template-fault.js';
import type { TemplateScope } from './template-scope.js';
import type { Template } from './template.js';
import { renderUrl } from './url-template.js';

/** As much as a frame to a sandbox child carries. */
const MAX_BODY_BYTES = 5 * 1024 * 1024;
/** RFC 9110, section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;

type Headers = Map<string, [name: string, value: string]>;

/**
 * Makes the request of one call.
 *
 * Query and form: null and missing are left out, a list repeats its name, objects are JSON. A header
 * that is null or missing isn't sent. A body is what `bodyAs` says. `timeoutMs` is there only when the
 * template gives one.
 *
 * @throws TemplateFault, ExpressionError
 */
export function renderRequest(
  http: CompiledHttp,
  { renderer, scope }: { renderer: TemplateRenderer; scope: TemplateScope },
): OutboundRequest {
  assertRequirements(http, { renderer, scope });
  const method = writeAsText(renderer.render(http.method), renderer.meter).toUpperCase();
  if (!isMethod(method)) throw invalid(`"${method.slice(0, 20)}" is not a method that can be sent`);
  const url = renderUrl(http.url, scope, renderer.meter);
  const query = pairs(http.query, renderer).map(
    ([name, value]) => `${encode(name)}=${encode(value)}`,
  );
  const headers = renderHeaders(http.headers, renderer);
  const body = renderBody(http, headers, renderer);
  const timeoutMs = http.timeoutMs === null ? null : renderTimeoutMs(http.timeoutMs, renderer);
  return {
    method,
    url: query.length === 0 ? url : withQuery(url, query.join('&')),
    headers: [...headers.values()],
    body,
    redirect: 'follow',
    ...(timeoutMs === null ? {} : { timeoutMs }),
  };
}

function assertRequirements(
  { require }: CompiledHttp,
  { renderer, scope }: { renderer: TemplateRenderer; scope: TemplateScope },
): void {
  const { meter } = renderer;
  for (const { that, message, pointer } of require) {
    if (isTruthy(evaluateExpression(that, scope, { missing: 'allow', meter }))) continue;
    const details = pointer === null ? {} : { pointer };
    throw new TemplateFault('input.invalid', writeAsText(renderer.render(message), meter), details);
  }
}

function renderTimeoutMs(template: Template, renderer: TemplateRenderer): number | null {
  const value = renderer.render(template) ?? null;
  if (value === null || isTimeoutMs(value)) return value;
  const most = String(MAX_MANIFEST_WALL_MS);
  throw new TemplateFault('plugin.threw', `the timeoutMs must be 1 to ${most} milliseconds`);
}

function withQuery(url: string, query: string): string {
  const fragment = url.indexOf('#');
  const base = fragment < 0 ? url : url.slice(0, fragment);
  if (!base.includes('?')) return `${base}?${query}`;
  return base.endsWith('?') || base.endsWith('&') ? base + query : `${base}&${query}`;
}

function renderHeaders(template: Template | null, renderer: TemplateRenderer): Headers {
  const headers: Headers = new Map();
  for (const [name, value] of Object.entries(renderObject(template, 'headers', renderer))) {
    if (value === null) continue;
    if (!HEADER_NAME.test(name))
      throw invalid(`${JSON.stringify(name.slice(0, 40))} is not a header name`);
    const text = writeAsText(value, renderer.meter).trim();
    renderer.meter.convert(name.length + text.length);
    renderer.meter.grow(text.length);
    if (hasControlCharacter(text)) throw invalid(`the header "${name}" must not hold line breaks`);
    headers.set(name.toLowerCase(), [name, text]);
  }
  return headers;
}

/** All but the tab (RFC 9110, section 5.5). */
function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true;
  }
  return false;
}

function renderBody(
  http: CompiledHttp,
  headers: Headers,
  renderer: TemplateRenderer,
): Uint8Array | null {
  if (http.form !== null) {
    setDefault(headers, 'content-type', 'application/x-www-form-urlencoded');
    return encodeText(new URLSearchParams(pairs(http.form, renderer)).toString());
  }
  const body = http.body === null ? undefined : renderer.render(http.body);
  const isTextOrJson = http.bodyAs === 'textOrJson';
  if (body === undefined || (isTextOrJson && body === null)) return null;
  if (isTextOrJson && typeof body === 'string') {
    setDefault(headers, 'content-type', 'text/plain;charset=UTF-8');
    return encodeText(body);
  }
  const type = headers.get('content-type')?.[1];
  if (typeof body === 'string' && type !== undefined && !isJsonType(type)) return encodeText(body);
  setDefault(headers, 'content-type', 'application/json');
  const charge = (members: number): void => {
    renderer.meter.bulk(members);
  };
  if (estimateJsonSize(body, MAX_BODY_BYTES, charge) > MAX_BODY_BYTES) throw tooLarge();
  return encodeText(JSON.stringify(body));
}

function setDefault(headers: Headers, name: string, value: string): void {
  if (!headers.has(name)) headers.set(name, [name, value]);
}

/** `application/json`, `application/problem+json` and their like (RFC 6839). */
export function isJsonType(contentType: string): boolean {
  const [type = ''] = contentType.split(';', 1);
  return /^[^/]+\/(?:json|[^/]+\+json)$/i.test(type.trim().slice(0, 200));
}

function pairs(template: Template | null, renderer: TemplateRenderer): [string, string][] {
  return Object.entries(renderObject(template, 'query or form', renderer)).flatMap(
    ([name, value]) => {
      const values: JsonValue[] = Array.isArray(value) ? value : [value];
      renderer.meter.step(values.length);
      return values
        .filter((item) => item !== null)
        .map((item): [string, string] => {
          const text = writeAsText(item, renderer.meter);
          renderer.meter.convert(name.length + text.length);
          renderer.meter.grow(name.length + text.length);
          return [name, text];
        });
    },
  );
}

function renderObject(
  template: Template | null,
  what: string,
  renderer: TemplateRenderer,
): JsonObject {
  const value = template === null ? {} : (renderer.render(template) ?? {});
  if (!isJsonObject(value))
    throw new TemplateFault('plugin.threw', `the ${what} must be an object`);
  return value;
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function encodeText(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > MAX_BODY_BYTES) throw tooLarge();
  return bytes;
}

function tooLarge(): TemplateFault {
  return new TemplateFault('plugin.message_too_large', 'the body of the request is too large');
}

function invalid(message: string): TemplateFault {
  return new TemplateFault('egress.invalid_request', message);
}
