/** A throwaway Postgres of one's own: made by initdb in a temporary folder, gone without a trace when it is removed. */
import { execFile } from 'node:child_process'
import { appendFile, chown, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'

const run = promisify(execFile)

export type StopMode = 'smart' | 'fast' | 'immediate'

export type Cluster = {
  /** Of the database `postgres`, as a superuser, over loopback. */
  url: string
  dataDir: string
  start(): Promise<void>
  stop(mode?: StopMode): Promise<void>
  restart(mode?: StopMode): Promise<void>
  /** Runs SQL through psql as a superuser, in `postgres` or in the database of the URL, and answers with its rows, unaligned. */
  psql(sql: string, url?: string): Promise<string>
  /** Creates an empty database, and answers with its URL. */
  newDatabase(): Promise<string>
  /** The process id of the postmaster. */
  postmaster(): Promise<number>
  /** Stops it and removes its folder. */
  remove(): Promise<void>
}

/** Starts a cluster on a free port of the loopback address. Postgres refuses to run as root, so root runs it as `postgres`. */
export async function startPostgres(): Promise<Cluster> {
  const binaries = await findBinaries()
  const owner = process.getuid?.() === 0 ? await findUser('postgres') : undefined
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-postgres-'))
  if (owner) await chown(folder, owner.uid, owner.gid)
  const dataDir = join(folder, 'data')
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`

  const call = (name: string, ...args: string[]) => run(join(binaries, name), args, { ...owner, cwd: folder })
  // Without a log file the server would inherit our pipe, and the call would never seem to end.
  const control = (...args: string[]) => call('pg_ctl', '-D', dataDir, '-l', join(folder, 'log'), '-w', ...args)

  const cluster: Cluster = {
    url,
    dataDir,
    start: async () => {
      await control('start')
    },
    stop: async (mode = 'fast') => {
      await control('-m', mode, 'stop')
    },
    restart: async (mode = 'fast') => {
      await control('-m', mode, 'restart')
    },
    psql: async (sql, where = url) => {
      const { stdout } = await call('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', where, '-c', sql)
      return stdout.trim()
    },
    newDatabase: async () => (await createDatabase(url)).url,
    postmaster: async () => Number.parseInt(await readFile(join(dataDir, 'postmaster.pid'), 'utf8'), 10),
    remove: async () => {
      await cluster.stop('immediate').catch(() => {})
      await rm(folder, { recursive: true, force: true })
    },
  }

  try {
    await call('initdb', '-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C')
    await appendFile(
      join(dataDir, 'postgresql.conf'),
      `
port = ${port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '${folder}'
max_connections = 60
fsync = on
`,
    )
    await cluster.start()
  } catch (error) {
    await cluster.remove()
    throw error
  }
  return cluster
}

let databases = 0

/** An empty database on the server that the URL names, for one test. */
export async function createDatabase(server: string): Promise<{ url: string; drop(): Promise<void> }> {
  databases += 1
  const name = `gatehouse_scratch_${process.pid}_${databases}`
  const admin = async (statement: string) => {
    const client = postgres(server, { max: 1, onnotice: () => {} })
    await client.unsafe(statement).finally(() => client.end())
  }
  await admin(`create database ${name}`)
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href
  return { url, drop: () => admin(`drop database ${name} with (force)`) }
}

/** The folder with initdb and its like: where the one on the PATH really is, or the newest one where Debian keeps them. */
async function findBinaries(): Promise<string> {
  const debian = '/usr/lib/postgresql'
  const versions = await readdir(debian).catch(() => [])
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a)).map(version => join(debian, version, 'bin'))
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...newestFirst]) {
    const initdb = await realpath(join(folder, 'initdb')).catch(() => undefined)
    if (initdb) return dirname(initdb)
  }
  throw new Error(`There is no initdb on the PATH or under ${debian}: install the Postgres server package.`)
}

async function findUser(name: string) {
  const numbers = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
  return { uid: Number(numbers[0].stdout), gid: Number(numbers[1].stdout) }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('No free port.')),
      )
    })
  })
}
