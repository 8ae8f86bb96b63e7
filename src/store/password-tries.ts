/** Statements about tries at passwords: charging one before it is made, taking it back, forgetting those before a success. */
import { asc, inArray, sql } from 'drizzle-orm'
import type { Db } from './database.js'
import { rowsOf, seconds } from './rows.js'
import { accounts, knownDevices, passwordTries } from './schema.js'

/** A count of tries, and how long the next has to wait after too many. All times in seconds. */
export type Count = {
  key: string
  /** Tries that do not have to wait. */
  free: number
  /** What the first one after them waits; doubled for each more, up to `longest`. */
  wait: number
  longest: number
  /** After so long a quiet nothing is counted any more. */
  memory: number
}

export type Charge = {
  /** The counts that were charged; none where the try has to wait. */
  keys: string[]
  /** Seconds until a try is allowed; 0: this one is. */
  wait: number
}

/** Devices of one account that are remembered, the last seen first. */
const mostDevices = 50
/** Seconds: as long as browsers keep a cookie. */
const deviceMemory = 400 * 86_400

export type PasswordTryStore = ReturnType<typeof createPasswordTryStore>

export function createPasswordTryStore(db: Db) {
  /** In the order in which `charge` locks them: otherwise two could wait for each other. */
  const locked = (keys: string[]) =>
    db
      .select({ key: passwordTries.key })
      .from(passwordTries)
      .where(inArray(passwordTries.key, keys))
      .orderBy(asc(passwordTries.key))
      .for('update')

  return {
    /**
     * Counts a try before it is made: at the device's own count if the account knows the device, at those of strangers if
     * not; at all of them or, where one has to wait, at none. Rows are locked in the order of their keys, so that of parallel
     * tries each sees those before it, and never more are let through than are free.
     */
    charge: async (
      { email, deviceHash }: { email: string; deviceHash: string | undefined },
      { known, strange }: { known: Count[]; strange: Count[] },
    ): Promise<Charge> => {
      const rules = [
        ...known.map(rule => ({ ...rule, known: true })),
        ...strange.map(rule => ({ ...rule, known: false })),
      ]
      const isKnown = sql`exists (
        select 1 from ${knownDevices} join ${accounts} on ${accounts.id} = ${knownDevices.accountId}
        where ${accounts.email} = ${email} and ${knownDevices.deviceHash} = ${deviceHash ?? null}::text)`
      const answer = await db.execute(sql`
        with rules as materialized (
          select * from jsonb_to_recordset(${JSON.stringify(rules)}::jsonb)
            as rule (key text, free int, wait float8, longest float8, memory float8, known boolean)
          where rule.known = ${isKnown}
        ), seen as materialized (
          select counted.* from ${passwordTries} counted join rules using (key)
          where counted.expires_at > now()
          order by counted.key for update of counted
        ), waits as materialized (
          select coalesce(max(case when tries < free then 0 else
            extract(epoch from last_at - now()) + least(longest, wait * power(2, least(tries - free, 30))) end), 0) as wait
          from seen join rules using (key)
        ), charged as (
          insert into ${passwordTries} as counted (key, tries, last_at, expires_at)
          select key, 1, now(), now() + ${seconds(sql`memory`)} from rules
          where (select wait from waits) <= 0 order by key
          on conflict (key) do update set
            tries = case when counted.expires_at > now() then counted.tries + 1 else 1 end,
            last_at = excluded.last_at, expires_at = excluded.expires_at
          returning key, tries
        ), late as (
          -- A row that another try made meanwhile could not be seen, nor locked; what it says now counts all the same.
          select coalesce(max(wait), 0) as wait from charged join rules using (key)
          where tries > free and key not in (select key from seen)
        )
        select greatest((select wait from waits), (select wait from late))::float8 as wait,
          coalesce((select jsonb_agg(key) from charged), '[]') as keys`)
      const [row] = rowsOf<Charge>(answer)
      if (!row) throw new Error('a try was not counted')
      return { keys: row.keys, wait: Math.max(0, row.wait) }
    },

    /** As if it had not been made, for nothing has been compared. */
    takeBack: async (keys: string[]): Promise<void> => {
      await db
        .update(passwordTries)
        .set({ tries: sql`greatest(${passwordTries.tries} - 1, 0)` })
        .where(inArray(passwordTries.key, locked(keys)))
    },

    /** Begins these counts anew. */
    forget: async (keys: string[]): Promise<void> => {
      await db.delete(passwordTries).where(inArray(passwordTries.key, locked(keys)))
    },

    /** Knows the device from now on, as one of the account's. */
    know: async (accountId: string, deviceHash: string): Promise<void> => {
      await db.execute(sql`
        with surplus as (
          delete from ${knownDevices} where account_id = ${accountId} and device_hash in (
            select device_hash from ${knownDevices} where account_id = ${accountId} and device_hash <> ${deviceHash}
            order by last_seen_at desc offset ${mostDevices - 1})
        )
        insert into ${knownDevices} (account_id, device_hash, last_seen_at) values (${accountId}, ${deviceHash}, now())
        on conflict (account_id, device_hash) do update set last_seen_at = now()`)
    },

    /** Deletes at most `batch` counts that count no longer, and as many devices not seen for 400 days. Returns how many rows. */
    deleteOver: async (batch: number): Promise<number> => {
      const tries = await db.execute(sql`delete from ${passwordTries} where key in (
        select key from ${passwordTries} where expires_at < now() limit ${batch} for update skip locked) returning key`)
      const devices = await db.execute(sql`delete from ${knownDevices} where (account_id, device_hash) in (
        select account_id, device_hash from ${knownDevices} where last_seen_at < now() - ${seconds(deviceMemory)}
        limit ${batch} for update skip locked) returning account_id`)
      return rowsOf(tries).length + rowsOf(devices).length
    },
  }
}
