/** Told of work beside a request that failed; the request goes on. */
export type OnSideFailure = (error: unknown, what: string) => void

/** Runs work that a request brings about and does not depend on. `what` says, for the log, what did not happen. */
export const createAside =
  (onSideFailure: OnSideFailure) =>
  async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      onSideFailure(error, what)
    }
  }
