"""Landing tests need no S3."""

from game_analytics_tests.support.lakes import lake_in_memory as lake_resource

__all__ = ["lake_resource"]
