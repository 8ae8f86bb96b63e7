/** The machine under a measurement: which core the servers get, and what Linux tells about a process. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** The servers share this core, one at a time; everything else runs on the other ones. */
export const serverCore = 0

/** Moves this process, and with it whatever it starts later, away from the servers' core. Throws where there is no other. */
export function leaveServerCore(): void {
  if (process.platform !== 'linux' || cpus().length < 2)
    throw new Error('The harness needs Linux and at least two cores: one for the servers, the others for the load.')
  execFileSync('taskset', ['-a', '-p', '-c', `${serverCore + 1}-${cpus().length - 1}`, String(process.pid)])
}

const tickMicros = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** What the process has used so far in user and in kernel mode, with all its threads; see proc(5). */
export function usedMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the command's name, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * tickMicros
}

/** How long the servers' core has been busy so far, with whatever, another guest of the host included. */
export const coreBusyMicros = (): number => busyMicros(`cpu${serverCore}`)

function busyMicros(name: string): number {
  const line = readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .find(text => text.startsWith(`${name} `))
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (line ?? '')
    .split(/ +/)
    .slice(1)
    .map(Number)
  return (user + nice + system + irq + softirq + steal) * tickMicros
}

/** Waits until nearly nothing has run on any core for a second, or the deadline (of `performance.now()`) is over. */
export async function waitForQuiet(deadline: number): Promise<void> {
  while (performance.now() < deadline) {
    const before = busyMicros('cpu')
    await new Promise(resolve => setTimeout(resolve, 1000))
    if (busyMicros('cpu') - before < 100_000) return
  }
}

/** Resident memory in megabytes (10⁶ bytes): now, and at its highest. */
export function residentMegabytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) => (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

/** The load averages of the last 1, 5 and 15 minutes. */
export const loadAverages = (): string => readFileSync('/proc/loadavg', 'utf8').split(' ', 3).join(' ')
