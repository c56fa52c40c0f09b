import type { Problem } from '../../common/errors.js';
import { isJsonObject, type JsonObject, type JsonValue } from '../../common/json.js';

/** A plan that was drawn: nodes and edges, as graph editors keep them, turned into steps. */
export interface ConvertedPlan {
  /** One for each node, in the order of nodes; what follows from edges is in `depends_on`. */
  steps: JsonValue[];
  /** What the graph itself has wrong. What its steps have wrong is for validatePlan. */
  problems: Problem[];
  /** Where a problem at `/steps/...` stands in what was sent. */
  pointerOf(pointer: string): string;
}

/**
 * Reads `{ nodes: [{ id, data: { provider, action, params, ... } }], edges: [{ source, target }] }`.
 * The fields of a step may also stand in the node itself, and edges may say `from` and `to`. What
 * editors keep for drawing is passed over. A numeric id becomes `node_<n>`, since `steps.<n>` means a
 * place in the list.
 * @returns null when the plan has no nodes
 */
export function convertNodes(plan: JsonObject): ConvertedPlan | null {
  if (!Object.hasOwn(plan, 'nodes')) return null;
  const problems: Problem[] = [];
  if (Object.hasOwn(plan, 'steps')) {
    problems.push({ pointer: '/nodes', detail: 'stand beside "steps"; give one of the two' });
  }
  const nodes = readList(plan['nodes'], '/nodes', problems)
    .slice(0, MAX_NODES)
    .map((node, index) => readNode(node, `/nodes/${String(index)}`, problems));
  const ids = new Set(nodes.map(({ id }) => id));
  const edges = readList(plan['edges'] ?? [], '/edges', problems)
    .slice(0, MAX_EDGES)
    .flatMap((edge, index) => readEdge(edge, { index, ids, problems }));
  const steps = nodes.map(({ id, fields }) => {
    if (!isJsonObject(fields)) return fields;
    const sources = edges.filter(({ to }) => to === id).map(({ from }) => from);
    return { ...fields, ...(id === null ? {} : { id, depends_on: [...new Set(sources)] }) };
  });
  return { steps, problems, pointerOf: (pointer) => pointerInGraph(pointer, nodes, edges) };
}

interface Node {
  /** As the step will have it; null when it has none that can be read. */
  id: string | null;
  fields: JsonValue;
  /** Where in the node the fields of the step stand: `/data`, or nowhere special. */
  inside: '' | '/data';
}

interface Edge {
  from: string;
  to: string;
  index: number;
}

/** As many as a plan has steps. */
const MAX_NODES = 500;
const MAX_EDGES = 10_000;

/** What editors keep with a node or its data for people's eyes. */
const DRAWING: ReadonlySet<string> = new Set(
  'type position positionAbsolute width height measured selected selectable dragging draggable dragHandle connectable deletable style className hidden zIndex parentId parentNode extent sourcePosition targetPosition label name title description icon color'.split(
    ' ',
  ),
);

function readList(
  value: JsonValue | undefined,
  pointer: '/nodes' | '/edges',
  problems: Problem[],
): JsonValue[] {
  const most = pointer === '/nodes' ? MAX_NODES : MAX_EDGES;
  const list = Array.isArray(value) ? value : [];
  if (!Array.isArray(value)) problems.push({ pointer, detail: 'must be a list' });
  else if (list.length > most) {
    problems.push({ pointer, detail: `must hold at most ${String(most)}` });
  }
  return list;
}

function readNode(node: JsonValue, pointer: string, problems: Problem[]): Node {
  if (!isJsonObject(node)) return { id: null, fields: node, inside: '' };
  const id = stepId(node['id']);
  if (id === null) {
    problems.push({
      pointer: `${pointer}/id`,
      detail: 'must be a text or a number: edges name it',
    });
  }
  const inside = isJsonObject(node['data']) ? '/data' : '';
  const given = isJsonObject(node['data']) ? node['data'] : node;
  const fields = Object.fromEntries(
    Object.entries(given).filter(([name]) => name !== 'id' && !DRAWING.has(name)),
  );
  if (Object.hasOwn(fields, 'depends_on')) {
    const detail = 'is what edges say here; draw an edge instead';
    problems.push({ pointer: `${pointer}${inside}/depends_on`, detail });
  }
  return { id, fields, inside };
}

function readEdge(
  edge: JsonValue,
  { index, ids, problems }: { index: number; ids: ReadonlySet<string | null>; problems: Problem[] },
): Edge[] {
  const pointer = `/edges/${String(index)}`;
  if (!isJsonObject(edge)) {
    problems.push({ pointer, detail: 'must be an object: { "source": id, "target": id }' });
    return [];
  }
  const [from, to] = (['source', 'target'] as const).map((end) => {
    const name = Object.hasOwn(edge, end) ? end : end === 'source' ? 'from' : 'to';
    const id = stepId(edge[name]);
    if (id !== null && ids.has(id)) return id;
    const detail =
      edge[name] === undefined
        ? 'is missing: the id of a node'
        : `there is no node ${JSON.stringify(edge[name])}`;
    problems.push({ pointer: `${pointer}/${Object.hasOwn(edge, name) ? name : end}`, detail });
    return null;
  });
  return typeof from === 'string' && typeof to === 'string' ? [{ from, to, index }] : [];
}

function stepId(id: JsonValue | undefined): string | null {
  if (typeof id === 'number') return `node_${String(id)}`;
  if (typeof id !== 'string' || id === '') return null;
  return /^\d+$/.test(id) ? `node_${id}` : id;
}

function pointerInGraph(pointer: string, nodes: Node[], edges: Edge[]): string {
  const match = /^\/steps(?:\/(\d+)(?:\/([^/]*)(.*))?)?$/.exec(pointer);
  if (!match) return pointer;
  const [, index, field, rest = ''] = match;
  if (index === undefined) return '/nodes';
  const node = nodes[Number(index)];
  if (field === undefined) return `/nodes/${index}`;
  if (field === 'id') return `/nodes/${index}/id`;
  if (field !== 'depends_on') return `/nodes/${index}${node?.inside ?? ''}/${field}${rest}`;
  const into = edges.filter(({ to }) => to === node?.id);
  const edge = into[Number(rest.slice(1) || 0)] ?? into[0];
  return edge ? `/edges/${String(edge.index)}` : `/nodes/${index}`;
}
