import { setTimeout as delay } from 'node:timers/promises';

const BEGINS_IN_MS = 3_000;
const SETTLE_MS = 30_000;
const POLL_MS = 100;

/** Both name full seconds, so that what is due can be told without asking the product. */
const SCHEDULES = {
  everySecond: { timing: { every_seconds: 1 }, periodMs: 1_000 },
  byCron: { timing: { cron: '*/2 * * * * *' }, periodMs: 2_000 },
};

/** Two plans that fire all the time, whatever happens to the hosts. */
export class Schedules {
  #beginsAt = 0;
  #endsAt = new Map();

  constructor({ api, database, clock, plans }) {
    Object.assign(this, { api, database, clock, plans });
  }

  async start() {
    await this.#keepFires();
    const now = await this.#now();
    // A full even second is the first time of both.
    this.#beginsAt = Math.ceil((now.getTime() + BEGINS_IN_MS) / 2_000) * 2_000;
    const starts_at = new Date(this.#beginsAt).toISOString();
    for (const [name, { timing }] of Object.entries(SCHEDULES)) {
      const body = { ...timing, starts_at, catch_up: 'all', overlap: 'allow' };
      await this.api.send('POST', `/api/plans/${this.plans[name]}/schedule`, { body });
    }
  }

  /** Returns when all that came due so far has fired, and nothing more will. */
  async stop() {
    const deadline = performance.now() + SETTLE_MS;
    for (const name of Object.keys(SCHEDULES)) {
      let next = await this.#nextFireAt(name);
      while (next <= (await this.#now()) && performance.now() < deadline) {
        await delay(POLL_MS);
        next = await this.#nextFireAt(name);
      }
      this.#endsAt.set(name, next.getTime());
      await this.api.send('POST', `/api/plans/${this.plans[name]}/schedule/pause`, { body: {} });
    }
  }

  /**
   * due: times that the schedules named. lost: of those, times without exactly the run that they should have
   * had. double: further runs, of a time that had one or of no time at all.
   */
  async count() {
    const figures = { due: 0, lost: 0, double: 0 };
    for (const [name, { periodMs }] of Object.entries(SCHEDULES)) {
      const fires = await this.database.ask(
        `select f.nominal_at, f.execution_id, e.id is not null as has_run
           from chaos_fires f
           left join executions e on e.id = f.execution_id
          where f.plan_id = $1 and f.outcome = 'started'`,
        [this.plans[name]],
      );
      const [{ runs }] = await this.database.ask(
        `select count(*)::int as runs from executions where plan_id = $1 and trigger = 'schedule'`,
        [this.plans[name]],
      );
      const times = new Set(
        fires.filter(({ has_run: hasRun }) => hasRun).map((one) => one.nominal_at.getTime()),
      );
      // What fired between the last look and the pause was due as well.
      const end = Math.max(this.#endsAt.get(name), ...[...times].map((time) => time + periodMs));
      const due = [];
      for (let time = this.#beginsAt; time < end; time += periodMs) due.push(time);
      figures.due += due.length;
      figures.lost += due.filter((time) => !times.has(time)).length;
      figures.double += runs - due.filter((time) => times.has(time)).length;
    }
    return figures;
  }

  /** The product keeps the newest hundred of a schedule; here all of them count. */
  async #keepFires() {
    await this.database.ask(
      `create table chaos_fires (plan_id uuid, nominal_at timestamptz, outcome text, execution_id uuid)`,
    );
    await this.database.ask(
      `create function chaos_keep_fire() returns trigger language plpgsql security definer as $$
       begin
         insert into public.chaos_fires
         select s.plan_id, new.nominal_at, new.outcome, new.execution_id
           from public.schedules s where s.tenant_id = new.tenant_id and s.id = new.schedule_id;
         return null;
       end $$`,
    );
    await this.database.ask(
      `create trigger chaos_keep_fire after insert or update of outcome on schedule_fires
         for each row execute function chaos_keep_fire()`,
    );
  }

  async #nextFireAt(name) {
    const [row] = await this.database.ask(
      'select next_fire_at, status, error from schedules where plan_id = $1',
      [this.plans[name]],
    );
    if (!row.next_fire_at) throw new Error(`schedule ${name} stopped: ${JSON.stringify(row)}`);
    return row.next_fire_at;
  }

  /** By the clock that decides what is due. */
  async #now() {
    const [{ now }] = await this.database.ask(`select ${await this.clock.expression()} as now`);
    return now;
  }
}
