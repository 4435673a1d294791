"""Caches task definitions by ARN: AWS never changes one, so it is read once."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from fleet.model.desired import TaskDefinition
from fleet.records.column_types import canonical
from fleet.records.database import Database
from fleet.records.tables import TASK_DEFINITIONS

#: Bound values per statement that every SQLite allows.
ARNS_PER_QUERY = 500


class TaskDefinitionCache:
    """Bodies and content addresses of registered task definitions, by ARN."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, arns: Iterable[str]) -> Mapping[str, TaskDefinition]:
        """Return those of these that are known, by ARN."""
        wanted = list(dict.fromkeys(arns))
        table = TASK_DEFINITIONS.c
        columns = (table.arn, table.family, table.content, table.body)
        found = {}
        with self._database.read() as connection:
            for begin in range(0, len(wanted), ARNS_PER_QUERY):
                some = wanted[begin : begin + ARNS_PER_QUERY]
                for arn, *rest in connection.execute(select(*columns).where(table.arn.in_(some))):
                    found[arn] = TaskDefinition(*rest)
        return found

    def put(self, account_id: str, region: str, arn: str, definition: TaskDefinition) -> None:
        """Remember one; one that is known stays as it is, for AWS never changes it.

        Raises:
            ValueError: that is no ARN of a revision.
            TypeError: the body holds a secret, or something that JSON has no word for.
        """
        revision = arn.rpartition(":")[2]
        if not (revision.isascii() and revision.isdigit()):
            raise ValueError(f"{arn} names no revision of a task definition")
        canonical(definition.body)
        row = {
            "arn": arn,
            "account_id": account_id,
            "region": region,
            "family": definition.family,
            "content": definition.content,
            "revision": int(revision),
            "body": definition.body,
        }
        with self._database.write() as connection:
            kind = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(
                kind.insert(TASK_DEFINITIONS)
                .values(**row)
                .on_conflict_do_nothing(index_elements=["arn"])
            )

    def find(self, account_id: str, region: str, content: str) -> str | None:
        """ARN of the newest revision with this content there, as far as is known."""
        table = TASK_DEFINITIONS.c
        query = (
            select(table.arn)
            .where(table.account_id == account_id, table.region == region)
            .where(table.content == content)
            .order_by(table.revision.desc(), table.arn)
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.scalar(query)
