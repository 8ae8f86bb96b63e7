/** The process: configuration, database, service, listening, draining on a signal. The only file that touches the process. */
import closeWithGrace from 'close-with-grace'
import { ConfigError, loadConfig } from './config.js'
import { startService } from './service.js'

try {
  const config = loadConfig()
  const service = await startService(config)
  closeWithGrace({ delay: config.drainDelay * 1000 + 25_000, logger: service.log }, async ({ signal, err }) => {
    if (err) service.log.fatal({ err }, 'an error nobody caught: stopping')
    await service.stop({ drain: signal === 'SIGTERM' })
  })
} catch (error) {
  // No stack for what an operator can mend: a bad variable, a database that is not there, a port in use.
  process.stderr.write(
    `${error instanceof ConfigError || isPlain(error) ? (error as Error).message : (error as Error).stack}\n`,
  )
  process.exit(1)
}

function isPlain(error: unknown): boolean {
  return error instanceof Error && ('syscall' in error || ['DataDirInUse', 'MigrationFailed'].includes(error.name))
}
