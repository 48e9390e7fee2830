/** Turns what was typed into the search box into the jobs list that answers it. */

const jobs = (params: Record<string, string>): { url: string } => ({
  url: `/monitoring/jobs/?${new URLSearchParams(params).toString()}`,
});

export function searchTarget(typed: string, mayNameUsers: boolean): { url: string } | { error: string } {
  const text = typed.trim();
  if (!text) return { error: "Type a job number or a name first." };
  const parts = text.split(":").map((part) => part.trim());
  if (parts.length > 2) return { error: "One colon at most, as in jobId:1234." };
  const [kind = "", rest] = parts;
  if (rest === undefined) {
    return /^\d+$/.test(text) ? jobs({ jobId: text }) : jobs({ jobName: text, startTime: "last30d" });
  }
  if (!rest) return { error: `Type what to look for after "${kind}:".` };
  switch (kind.toLowerCase()) {
    case "jobid":
      return /^\d+$/.test(rest) ? jobs({ jobId: rest }) : { error: "A job number has digits only." };
    case "arrayjobid":
      return /^\d+$/.test(rest)
        ? jobs({ arrayJobId: rest, startTime: "last30d" })
        : { error: "A job number has digits only." };
    case "jobname":
      return jobs({ jobName: rest, startTime: "last30d" });
    case "projectid":
      return jobs({ projectMatch: "eq", project: rest });
    case "username":
      if (mayNameUsers) return jobs({ user: rest, startTime: "last30d" });
  }
  return { error: `"${kind}:" is not known. Try jobId:, jobName:, projectId: or arrayJobId:.` };
}
